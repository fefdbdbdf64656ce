#: expect
in srt
written
#: alike
s/\x1b\[[0-9;]*m//g
#: setup
mkdir -p ~/.srt; printf '{"network":{"allowedDomains":[],"deniedDomains":[]},"filesystem":{"denyRead":[],"allowWrite":["%s"],"denyWrite":[]}}' "$PWD" >settings.json
#: run
srt="$DEPS/inner/node_modules/.bin/srt"
"$srt" --settings settings.json sh -c 'echo in srt; echo x >written && ls written; touch "$HOME/no" 2>/dev/null || echo no write at home'
"$srt" --settings settings.json sh -c 'curl -sf --max-time 5 http://example.com >/dev/null || echo no network; exit 3' || echo "status $?"
