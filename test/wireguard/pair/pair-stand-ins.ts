const library = '. /usr/local/lib/stand-in.sh';

/** `crontab` of root's, whose table is a file. */
export const CRON_TABLE = `#!/bin/sh
${library}
table=$here/crontab
case $1 in
  -l) cat $table 2>/dev/null || exit 1 ;;
  -r) rm $table ;;
  *) record crontab; cat "$1" >$table ;;
esac
`;

/** ufw in force, whose rules are lines of a file as \`ufw show added\` prints them. */
export const UFW = `#!/bin/sh
${library}
rules=$here/ufw
case $1 in
  status) echo 'Status: active' ;;
  show) echo 'Added user rules (see "ufw status" for running firewall):'; cat $rules ;;
  allow) record ufw "$@"; echo "ufw $*" >>$rules; echo 'Rule added' ;;
  delete)
    record ufw "$@"
    shift
    grep -qxF -e "ufw $*" $rules || exit 1
    grep -vxF -e "ufw $*" $rules >$here/ufw-new; cat $here/ufw-new >$rules; rm $here/ufw-new ;;
  *) exit 64 ;;
esac
`;

/** firewalld in force, whose openings, running and permanent, are lines of files by zone. */
export const FIREWALL_CMD = `#!/bin/sh
${library}
file=$here/firewalld-now
for one in "$@"; do
  case $one in
    -q) ;;
    --state) exit 0 ;;
    --get-default-zone) echo public; exit 0 ;;
    --get-zone-of-interface=*) echo external; exit 0 ;;
    --permanent) file=$here/firewalld-kept ;;
    --zone=*) zone=\${one#*=} ;;
    --*-port=* | --*-rich-rule=*) wish=$one ;;
    *) exit 64 ;;
  esac
done
what=\${wish#--}; verb=\${what%%-*}
line="$zone \${what#*-}"
touch $file
case $verb in
  query) grep -qxF -e "$line" $file ;;
  add) record firewall-cmd "$@"; echo "$line" >>$file ;;
  remove) record firewall-cmd "$@"; grep -vxF -e "$line" $file >$here/rest; cat $here/rest >$file; rm $here/rest ;;
esac
`;
