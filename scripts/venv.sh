# Sourced by the scripts beside it.
# install_into FOLDER EXTRAS: a virtual environment with this checkout in it, made or brought up to date where needed.
install_into() {
    stamp="$1/.installed$2"
    if [ ! -x "$1/bin/python" ]; then
        "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
            echo "agentproxy needs Python 3.11 or later; name it: PYTHON=/path/to/python3.11 $0" >&2
            exit 1
        }
        "${PYTHON:-python3}" -m venv "$1" || {
            echo "python3 can't make a virtual environment; on Debian: apt-get install python3-venv" >&2
            exit 1
        }
    fi
    if [ ! -e "$stamp" ] || [ setup.cfg -nt "$stamp" ]; then
        # Compat mode, since Twisted looks for plugins in folders on sys.path.
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check \
            --editable ".$2" --config-settings editable_mode=compat
        touch "$stamp"
    fi
}
