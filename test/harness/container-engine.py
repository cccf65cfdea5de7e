#!/usr/bin/python3 -IS
"""A stand-in for docker: ps, container inspect and exec over folders that a test has laid out, one JSON file a container.

It answers in the words of the real one. A program is run by chroot into the container's root file system, or in the namespaces
of its first process where a file with that one's id is named, with the environment of the container alone. ENGINE_STATE names the folder of the JSON files; a file "mood" in it says how the
engine itself is: denied, down or silent.
"""
import json
import os
import sys
import time

STATE = os.environ.get('ENGINE_STATE') or os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), '..', 'containers')
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


def fail(text, code=1):
    sys.stderr.write(text + '\n')
    sys.exit(code)


def containers():
    found = []
    for name in sorted(name for name in os.listdir(STATE) if name.endswith('.json')):
        with open(os.path.join(STATE, name), encoding='utf8') as file:
            one = json.load(file)
        pid = first_process(one)
        if pid is not None:
            one['State'] = {'Status': 'running' if pid else 'exited'}
            one['Root'] = '/proc/%s/root' % pid
        found.append(one)
    return found


def first_process(one):
    """None where none is told of, '' where it has ended."""
    if 'PidFile' not in one:
        return None
    try:
        with open(one['PidFile'], encoding='utf8') as file:
            pid = file.read().strip()
        os.kill(int(pid), 0)
        return pid
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return ''


def find(name):
    for one in containers():
        if one['Name'] == '/' + name or (len(name) >= 12 and one['Id'].startswith(name)):
            return one
    return None


def field(value, path):
    for name in path.split('.'):
        value = value['Id' if name == 'ID' else name]
    return value


def inspect(args):
    import re

    form, names = args[1], args[2:]
    if args[0] != '--format':
        fail('the stand-in knows "--format" only', 64)
    missing = [name for name in names if find(name) is None]
    for one in (find(name) for name in names):
        if one is not None:
            text = re.sub(r'\{\{json \.([\w.]+)\}\}', lambda m: json.dumps(field(one, m.group(1))), form)
            print(re.sub(r'\{\{\.([\w.]+)\}\}', lambda m: str(field(one, m.group(1))), text))
    for name in missing:
        sys.stderr.write('Error response from daemon: No such container: %s\n' % name)
    sys.exit(1 if missing else 0)


def lookup(root, file, name, wanted):
    with open(os.path.join(root, 'etc', file), encoding='utf8') as lines:
        for line in lines:
            entry = line.rstrip('\n').split(':')
            if entry[0] == name:
                return [int(entry[at]) for at in wanted]
    return None


def environment(config, uid):
    given = dict(pair.split('=', 1) for pair in config['Env'])
    return {'PATH': PATH, 'HOME': '/root' if uid == 0 else '/', **given}


def enter(pid, ids, config, args):
    into = ['nsenter', '--target', pid, '--mount', '--uts', '--ipc', '--net', '--pid', '--root']
    user = ['setpriv', '--reuid', str(ids[0]), '--regid', str(ids[1]), '--clear-groups']
    env = ['%s=%s' % pair for pair in environment(config, ids[0]).items()]
    os.execvp('nsenter', into + ['env', '-i', '--chdir', config['WorkingDir'] or '/'] + env + user + args)


def execute(args):
    user = '0'
    while args and args[0].startswith('-'):
        word = args.pop(0)
        if word == '-u':
            user = args.pop(0)
        elif word != '-i':
            fail('unknown shorthand flag: %s' % word, 125)
    name = args.pop(0)
    one = find(name)
    if one is None:
        fail('Error response from daemon: No such container: %s' % name)
    status = one['State']['Status']
    if status == 'paused':
        fail('Error response from daemon: Container %s is paused, unpause the container before exec' % name)
    if status == 'restarting':
        fail('Error response from daemon: Container %s is restarting, wait until the container is running' % one['Id'])
    if status != 'running':
        fail('Error response from daemon: container %s is not running' % one['Id'])
    root = one['Root']
    login, _, group = user.partition(':')
    ids = [int(login), int(login)] if login.isdigit() else lookup(root, 'passwd', login, (2, 3))
    if ids is None:
        fail('unable to find user %s: no matching entries in passwd file' % login, 126)
    if group:
        ids[1] = int(group) if group.isdigit() else lookup(root, 'group', group, (2,))[0]
    pid = first_process(one)
    if pid is not None:
        enter(pid, ids, one['Config'], args)
    os.chroot(root)
    os.chdir(one['Config']['WorkingDir'] or '/')
    os.setgroups([])
    os.setgid(ids[1])
    os.setuid(ids[0])
    env = environment(one['Config'], ids[0])
    places = [args[0]] if '/' in args[0] else [os.path.join(place, args[0]) for place in PATH.split(':')]
    program = next((place for place in places if os.access(place, os.X_OK)), None)
    if program is None:
        fail('OCI runtime exec failed: exec failed: unable to start container process: exec: "%s": '
             'executable file not found in $PATH: unknown' % args[0], 127)
    os.execve(program, args, env)


def main():
    mood = os.path.join(STATE, 'mood')
    mood = open(mood, encoding='utf8').read().strip() if os.path.exists(mood) else ''
    if mood == 'denied':
        fail('permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: '
             'dial unix /var/run/docker.sock: connect: permission denied')
    if mood == 'down':
        fail('Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?')
    if mood == 'silent':
        time.sleep(600)
    args = sys.argv[1:]
    if args == ['ps', '-a', '-q', '--no-trunc']:
        for one in containers():
            print(one['Id'])
    elif args[:2] == ['container', 'inspect']:
        inspect(args[2:])
    elif args[:1] == ['exec']:
        execute(args[1:])
    else:
        fail('the stand-in knows no "docker %s"' % ' '.join(args[:2]), 64)


main()
