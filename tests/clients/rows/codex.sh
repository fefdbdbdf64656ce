#: expect
the model answers
#: run
export CODEX_API_KEY=sk-test-0123456789-abcdefghijklmnopq SSL_CERT_FILE=$CA CODEX_HOME=$PWD/codex
mkdir codex
"$DEPS/agents/bin/codex" exec --skip-git-repo-check -c features.plugins=false -c analytics.enabled=false 'say something'
