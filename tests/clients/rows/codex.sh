#: expect
the model answers
#: run
export CODEX_API_KEY=sk-test-0123456789-abcdefghijklmnopq SSL_CERT_FILE=$CA CODEX_HOME=$PWD/codex
mkdir codex
# By the usual name, but not by WebSocket, which this model does not speak.
provider="{name=\"far\",base_url=\"https://api.openai.com$TLS_PORT/v1\",env_key=\"CODEX_API_KEY\",wire_api=\"responses\"}"
"$DEPS/agents/bin/codex" exec --skip-git-repo-check -c model_provider=far -c "model_providers.far=$provider" \
    -c features.plugins=false -c analytics.enabled=false 'say something'
