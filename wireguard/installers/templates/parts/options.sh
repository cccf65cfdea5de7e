MODE=install
SAID_TUNNEL=''

usage() {
  cat <<USAGE
usage: sh install.sh [--tunnel NAME] [--uninstall] [--help]

Makes this machine the spoke "$SPOKE_NAME" of the hub "$HUB_NAME" ($HUB_URL):
installs WireGuard, makes a key that never leaves this machine, registers its
public half and brings up the tunnel. What was done is undone when a step fails.

  --tunnel NAME  what the interface is called here ($TUNNEL)
  --uninstall    takes the tunnel away again
  --help         says this
USAGE
  own_usage
}

wrong_usage() {
  printf 'error: %s\n' "$1" >&2
  hint "--help says what there is"
  exit 2
}

# read_options WORD...: MODE is install or uninstall. A platform has own_usage and own_option, which answers whether a word is its own.
read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --uninstall) MODE=uninstall ;;
      --tunnel=*)
        TUNNEL=${1#--tunnel=}
        SAID_TUNNEL=" --tunnel $TUNNEL"
        ;;
      --tunnel)
        if [ $# -lt 2 ]; then wrong_usage "--tunnel needs a name"; fi
        TUNNEL=$2
        SAID_TUNNEL=" --tunnel $TUNNEL"
        shift
        ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) own_option "$1" || wrong_usage "there is no option $1" ;;
    esac
    shift
  done
  case $TUNNEL in
    '' | [!A-Za-z0-9_]* | *[!A-Za-z0-9_.-]* | ????????????????*)
      wrong_usage "a tunnel is called by 1 to 15 of the characters A-Z a-z 0-9 _ . - and begins with none of the last two"
      ;;
  esac
}
