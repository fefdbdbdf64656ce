#: expect
in codex
no write
#: setup
mkdir -p ~/.codex
#: run
codex="$DEPS/inner/node_modules/.bin/codex"
"$codex" sandbox -- sh -c 'echo in codex; touch x 2>/dev/null || echo no write; exit 4' || echo "status $?"
"$codex" --version
