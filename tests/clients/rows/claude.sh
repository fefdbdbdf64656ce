#: expect
the model answers
#: run
export ANTHROPIC_API_KEY=sk-test-0123456789-abcdefghijklmnopq NODE_EXTRA_CA_CERTS=$CA
export DISABLE_AUTOUPDATER=1 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
export ${TLS_PORT:+ANTHROPIC_BASE_URL=https://api.anthropic.com$TLS_PORT} DISABLE_TELEMETRY=1
"$DEPS/agents/bin/claude" -p 'say something'
