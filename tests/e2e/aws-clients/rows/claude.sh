# The emulator verifies the signature, and then has no model.
#: expect
The emulator has no model.
#: run
export CLAUDE_CODE_USE_BEDROCK=1 ANTHROPIC_BEDROCK_BASE_URL=$URL CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
export ANTHROPIC_MODEL=anthropic.claude-v1:0 ANTHROPIC_SMALL_FAST_MODEL=anthropic.claude-v1:0
"$DEPS/agents/bin/claude" -p hello </dev/null
