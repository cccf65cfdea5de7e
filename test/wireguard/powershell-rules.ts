import type { Node } from '@vscode/tree-sitter-wasm';
import { around, type Command, isInside, line, nodes, type PowerShellScript } from './powershell-script.ts';

/** What a rule has against a script: where, and what. */
type Rule = (script: PowerShellScript) => string[];

/** Cmdlets with those of their parameters that Windows PowerShell 5.1 and PowerShell 7 both have. */
const CMDLETS: Readonly<Record<string, readonly string[]>> = {
  'ConvertFrom-Json': ['InputObject'],
  'ConvertTo-Json': ['Compress', 'InputObject'],
  'Get-Acl': ['LiteralPath'],
  'Get-AuthenticodeSignature': ['LiteralPath'],
  'Get-ChildItem': ['LiteralPath'],
  'Get-Command': ['Name', 'CommandType', 'ErrorAction'],
  'Get-Content': ['LiteralPath', 'TotalCount'],
  'Get-ItemProperty': ['LiteralPath', 'Name'],
  'Get-Service': ['Name', 'ErrorAction'],
  'Invoke-RestMethod': [
    ...['Method', 'Uri', 'Headers', 'ContentType', 'Body', 'TimeoutSec', 'MaximumRedirection', 'UseBasicParsing'],
  ],
  'Invoke-WebRequest': ['Uri', 'OutFile', 'UseBasicParsing', 'TimeoutSec'],
  'Join-Path': [],
  'New-Item': ['ItemType', 'Path'],
  'New-Object': ['TypeName', 'ArgumentList'],
  'Select-Object': ['Last'],
  'Set-Acl': ['LiteralPath', 'AclObject'],
  'Set-StrictMode': ['Version'],
  'Sort-Object': ['Property'],
  'Start-Service': ['Name'],
  'Start-Sleep': ['Milliseconds'],
  'Stop-Service': ['Name'],
  'Test-Path': ['LiteralPath', 'PathType'],
  'Where-Object': [],
  'Write-Host': [],
};

/** Static members of .NET, and the types of what is made, which .NET Framework 4.6 has as well. */
const STATIC_MEMBERS = [
  ...['Console.InputEncoding', 'DateTime.UtcNow', 'Diagnostics.Process.Start', 'Environment.Is64BitOperatingSystem'],
  ...['Environment.Is64BitProcess', 'Environment.NewLine', 'Environment.OSVersion', 'IO.Directory.Delete'],
  ...['IO.Directory.Exists', 'IO.Directory.GetFileSystemEntries', 'IO.File.Delete', 'IO.File.WriteAllText'],
  ...['IO.Path.GetFileName', 'Net.NetworkInformation.NetworkInterface.GetAllNetworkInterfaces'],
  ...['Net.SecurityProtocolType.Tls12', 'Net.ServicePointManager.SecurityProtocol', 'regex.Matches'],
  ...['Security.Cryptography.X509Certificates.X509NameType.SimpleName', 'Text.Encoding.ASCII'],
  ...['Security.Principal.WindowsBuiltInRole.Administrator', 'Security.Principal.WindowsIdentity.GetCurrent'],
  'Threading.Tasks.Task.WaitAll',
];
const MADE_TYPES = [
  ...['System.Collections.ArrayList', 'System.Diagnostics.ProcessStartInfo', 'System.Text.UTF8Encoding'],
  ...['System.Security.Principal.WindowsPrincipal', 'System.Security.AccessControl.DirectorySecurity'],
  ...['System.Security.AccessControl.FileSecurity', 'System.Net.NetworkInformation.Ping'],
];
const CASTS = [
  ...['void', 'int', 'string', 'bool', 'switch', 'char', 'version', 'hashtable', 'scriptblock', 'string[]', 'int[]'],
  ...['Security.Principal.SecurityIdentifier', 'Threading.Tasks.Task[]'],
];

/** Assigned by PowerShell itself: some cannot be written, the others would be lost. */
const AUTOMATIC = [
  ...['_', 'args', 'error', 'executioncontext', 'false', 'foreach', 'home', 'host', 'input', 'isadmin', 'lastexitcode'],
  ...['matches', 'myinvocation', 'null', 'pid', 'profile', 'psboundparameters', 'pscmdlet', 'pscommandpath'],
  ...['psitem', 'psscriptroot', 'psversiontable', 'pwd', 'sender', 'switch', 'this', 'true'],
];

/** What changes a machine or the hub, with what takes it back. */
const INVERSES: Readonly<Record<string, RegExp>> = {
  'New-Item': /\[IO\.File\]::Delete\(|Remove-OwnFolder/,
  'Set-Guard': /\[IO\.File\]::Delete\(|Remove-OwnFolder/,
  'Install-ByWinget': /Uninstall-WireGuard/,
  'Install-ByMsi': /Uninstall-WireGuard[\s\S]*\[IO\.File\]::Delete\(\$msi\)/,
  'Install-TunnelService': /^\{\s*Remove-Tunnel\s*\}$/,
  'Start-Service': /^\{\s*Stop-Service -Name \$serviceName\s*\}$/,
  'Invoke-Hub': /\/api\/spoke\/withdraw/,
  'IO.File.WriteAllText': /\[IO\.File\]::WriteAllText\(\$config, ''\)/,
  'IO.File.Delete': /\[IO\.File\]::Delete\(/,
};
const CHANGING_PROGRAMS = ['$wireguard', '$msiexec', '$Winget'];
const CHANGING_CMDLETS = ['New-Item', 'Set-Acl', 'Start-Service', 'Stop-Service', 'Invoke-Hub'];
const CHANGING_MEMBERS = ['IO.File.WriteAllText', 'IO.File.Delete', 'IO.Directory.Delete'];

/** Rules by what they promise; a script that follows one gives an empty list. */
export const RULES = {
  'is of PowerShell': (script) =>
    script.root.hasError
      ? nodes(script.root)
          .filter((node) => node.isError || node.isMissing)
          .map((node) => at(node, 'is not PowerShell'))
      : [],

  'is ASCII': ({ text }) =>
    [...text.matchAll(/[^\n\x20-\x7e]/g)].map((found) => `character ${found.index} is not printable ASCII`),

  'has no string in which anything is read as code': (script) =>
    script
      .all(['expandable_string_literal', 'expandable_here_string_literal', 'verbatim_here_string_characters'])
      .map((node) => at(node, 'is expanded')),

  'runs nothing but cmdlets that both PowerShells have': (script) => {
    const own = script.functions();
    return script.commands().flatMap((command) => {
      if (around(command.node, 'function_name') !== null || invoker(command) !== null) return [];
      const known = CMDLETS[command.name] ?? own.get(command.name)?.parameters;
      if (known === undefined) return [at(command.node, `${command.name} is not on the list`)];
      const strange = [...command.parameters.keys()].filter((one) => !known.includes(one));
      return strange.map((one) => at(command.node, `${command.name} has no -${one}`));
    });
  },

  'gives its functions no more than they take': (script) =>
    script.commands().flatMap((command) => {
      const { parameters } = script.functions().get(command.name) ?? {};
      const given = command.parameters.size + command.positional.length;
      return parameters === undefined || given <= parameters.length ? [] : [at(command.node, 'is given too much')];
    }),

  'runs blocks of its own alone': (script) => [
    ...script.commands().flatMap((command) => {
      const by = invoker(command);
      if (by === null || (by.operator === '&' && ['$Do', '$entry.Action'].includes(by.what))) return [];
      return by.operator === '&' && by.what.startsWith('{') && around(command.node, 'command') === null
        ? []
        : [at(command.node, 'runs what it is given')];
    }),
    ...[...script.text.matchAll(/Invoke-Expression|Add-Type|ScriptBlock\]::|\.Invoke|NewScriptBlock/gi)].map(
      (found) => `character ${found.index}: ${found[0]}`,
    ),
  ],

  'uses what is known of .NET': (script) => [
    ...script.all('type_literal').flatMap((node) => {
      const name = node.text.slice(1, -1);
      if (node.nextSibling?.text !== '::') return CASTS.includes(name) ? [] : [at(node, `${name} is not on the list`)];
      const member = `${name}.${node.parent?.children.find((one) => one?.type === 'member_name')?.text}`;
      return STATIC_MEMBERS.includes(member) ? [] : [at(node, `${member} is not on the list`)];
    }),
    ...script.commands().flatMap(({ node, name, parameters }) => {
      const made = parameters.get('TypeName')?.text ?? '';
      return name !== 'New-Object' || MADE_TYPES.includes(made) ? [] : [at(node, `${made} is not on the list`)];
    }),
  ],

  'starts programs in one place': (script) => {
    const door = script.functions().get('Invoke-Native')?.node;
    return script
      .all('type_literal')
      .filter((node) => /Process\]$/.test(node.text) && (door === undefined || !isInside(node, door)))
      .map((node) => at(node, 'starts a program'));
  },

  'looks at the exit code of every program': (script) => {
    const door = script.functions().get('Invoke-Native')?.node;
    const guard = 'if (-not $AnyExit -and $Expected -notcontains $code) { Stop-Run';
    const found =
      door?.text.includes('$code = $process.ExitCode') === true && door.text.includes(guard)
        ? []
        : ['Invoke-Native does not end the run for an exit code that is not expected'];
    for (const { node, name, parameters } of script.commands()) {
      if (name !== 'Invoke-Native' || !parameters.has('AnyExit')) continue;
      const variable = around(node, 'assignment_expression')?.children[0]?.text ?? '';
      const owner = around(node, 'function_statement') ?? script.root;
      const comparisons = script.all('comparison_expression', owner);
      const looks = comparisons.some(({ text }) => text.startsWith(`${variable}.ExitCode -`));
      if (variable === '' || !looks) found.push(at(node, 'nobody looks at the exit code'));
    }
    return found;
  },

  'gives no secret to a program, to the screen or to an error': (script) =>
    script.commands().flatMap(({ node, name, parameters, positional }) => {
      const open = {
        'Invoke-Native': [parameters.get('Arguments'), parameters.get('File')],
        'Write-Note': positional,
        'Write-Host': positional,
        'Stop-Run': positional,
        'Invoke-Step': [parameters.get('What'), parameters.get('UndoWhat')],
      }[name];
      const secret = (open ?? []).some((one) =>
        /\$Token\b|PrivateKey|\$json\b|\$Stdin\b|\$Body\b/i.test(one?.text ?? ''),
      );
      return secret ? [at(node, 'shows a secret')] : [];
    }),

  'does not leave by exit': (script) =>
    script
      .all('flow_control_statement')
      .flatMap((node) => (/^exit/i.test(node.text) ? [at(node, 'closes the window')] : [])),

  'trusts no certificate without a pin, and nothing without TLS': (script) => [
    ...script.commands().flatMap(({ node }) => {
      const words = script.all('verbatim_string_characters', node).map(({ text }) => text);
      const lax = words.some((word) => /^'(--insecure|-k)'$/.test(word));
      const pinned = words.includes("'--pinnedpubkey'") && words.includes("'=https'");
      return lax && !pinned ? [at(node, 'is told to trust anybody')] : [];
    }),
    ...[
      ...script.text.matchAll(
        /SkipCertificateCheck|CertificateValidationCallback|CertificatePolicy|AllowUnencrypted/gi,
      ),
    ].map((found) => `character ${found.index}: ${found[0]}`),
    ...script
      .all('verbatim_string_characters')
      .filter(({ text, parent }) => /http:/i.test(text) && !isValue(parent))
      .map((node) => at(node, 'is asked for without TLS')),
  ],

  'notes what takes a change back before it makes it': (script) => {
    const functions = script.functions();
    const changing = changingFunctions(script);
    const found: string[] = [];
    const step = functions.get('Invoke-Step')?.node.text ?? '';
    if (step.indexOf('$undoList.Add(') === -1 || step.indexOf('$undoList.Add(') > step.indexOf('& $Do'))
      found.push('Invoke-Step does before it notes');
    const steps = script.commands().filter(({ name }) => name === 'Invoke-Step');
    for (const { node, parameters } of steps) {
      const gone = ['What', 'UndoWhat', 'Undo', 'Do'].filter((name) => (parameters.get(name) ?? null) === null);
      if (gone.length > 0) found.push(at(node, `lacks -${gone.join(', -')}`));
      const undo = parameters.get('Undo')?.text ?? '';
      const does = parameters.get('Do');
      for (const change of does === null || does === undefined ? [] : changes(script, does, changing)) {
        if (INVERSES[change.name]?.test(undo) !== true) found.push(at(change.node, `${change.name} is not taken back`));
      }
    }
    // Uninstall-Spoke is asked for, and only takes away
    const outside = ['Uninstall-Spoke', ...changing.filter((name) => name !== 'Install-Spoke')].map(
      (name) => functions.get(name)?.node,
    );
    const inStep = (node: Node): boolean => steps.some((one) => isInside(node, one.node));
    for (const change of changes(script, script.root, changing)) {
      if (['Install-Spoke', 'Uninstall-Spoke'].includes(change.name) || inStep(change.node)) continue;
      if (!outside.some((one) => one !== undefined && isInside(change.node, one)))
        found.push(at(change.node, `${change.name} is not in a step`));
    }
    return found;
  },

  'reads every variable that it sets, and sets every one that it reads': (script) => {
    const set = new Map<string, Node>();
    const read = new Map<string, Node>();
    for (const node of script.all('variable')) {
      const name = node.text.replace(/^[$@]/, '').toLowerCase();
      if (!name.startsWith('env:')) (isWritten(node) ? set : read).set(name, node);
    }
    const given = ['_', 'null', 'true', 'false', 'psversiontable', 'executioncontext', 'matches'];
    const forOthers = ['erroractionpreference', 'progresspreference', 'members'];
    const unset = [...read].filter(([name]) => !set.has(name) && !given.includes(name));
    const unread = [...set].filter(([name]) => !read.has(name) && !forOthers.includes(name));
    return [
      ...unset.map(([, node]) => at(node, 'is never set')),
      ...unread.map(([, node]) => at(node, 'is never read')),
    ];
  },

  'sets no variable that is PowerShell’s own': (script) =>
    script
      .all('variable')
      .filter((node) => isWritten(node) && AUTOMATIC.includes(node.text.slice(1).toLowerCase()))
      .map((node) => at(node, `${node.text} is PowerShell's`)),

  'fills its formats': (script) =>
    script.all('format_operator').flatMap((node) => {
      const before = node.previousSibling?.text ?? '';
      const wanted = new Set([...before.matchAll(/\{([0-9])\}/g)].map(([, number]) => Number(number)));
      const behind = node.nextNamedSibling;
      const list = behind === null ? undefined : nodes(behind).find((one) => one.type === 'array_literal_expression');
      const given = list?.children.filter((child) => child?.type === 'unary_expression').length ?? 0;
      return wanted.size === given && Math.max(...wanted) === given - 1
        ? []
        : [at(node, `${before} has not ${given} places`)];
    }),
} as const satisfies Record<string, Rule>;

function at(node: Node, words: string): string {
  return `line ${line(node)}: ${node.text.split('\n')[0]}: ${words}`;
}

/** `&` or `.`, with what stands behind it. */
function invoker({ node }: Command): { readonly operator: string; readonly what: string } | null {
  const operator = node.children.find((child) => child?.type === 'command_invokation_operator');
  const what = node.children.find((child) => child?.type === 'command_name_expr');
  return operator === undefined || operator === null
    ? null
    : { operator: operator.text.trim(), what: what?.text ?? '' };
}

function isValue(node: Node | null): boolean {
  for (let at = node; at !== null; at = at.parent) {
    if (at.type === 'assignment_expression') return /^\$HubUrl = /.test(at.text);
  }
  return false;
}

/** By an assignment, as a parameter or as what a loop goes by. */
function isWritten(node: Node): boolean {
  if (node.parent?.type === 'script_parameter' || node.parent?.type === 'foreach_statement') return true;
  const left = around(node, 'left_assignment_expression');
  return left !== null && left.text === node.text;
}

interface Change {
  readonly node: Node;
  readonly name: string;
}

/** Whatever changes something: cmdlets, programs, methods, and functions that do. */
function changes(script: PowerShellScript, under: Node, functions: readonly string[]): Change[] {
  const members = script.all('type_literal', under).flatMap((node) => {
    const name = `${node.text.slice(1, -1)}.${node.parent?.children.find((one) => one?.type === 'member_name')?.text}`;
    return node.nextSibling?.text === '::' && CHANGING_MEMBERS.includes(name) ? [{ node, name }] : [];
  });
  const commands = script
    .commands(under)
    .filter(
      ({ name, parameters }) =>
        CHANGING_CMDLETS.includes(name) ||
        functions.includes(name) ||
        (name === 'Invoke-Native' && CHANGING_PROGRAMS.includes(parameters.get('File')?.text ?? '')) ||
        (name === 'Invoke-WebRequest' && parameters.has('OutFile')),
    );
  return [...members, ...commands];
}

function changingFunctions(script: PowerShellScript): string[] {
  const names: string[] = [];
  for (let before = -1; before !== names.length; ) {
    before = names.length;
    for (const [name, { node }] of script.functions()) {
      if (!names.includes(name) && name !== 'Invoke-Hub' && changes(script, node, names).length > 0) names.push(name);
    }
  }
  return names;
}
