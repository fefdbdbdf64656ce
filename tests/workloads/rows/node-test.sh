#: expect
# pass 2
#: alike
s/duration_ms:? [0-9.]+/duration_ms N/
#: setup
cat >a.test.js <<'X'
const test = require('node:test');
const assert = require('node:assert');
test('adds', () => assert.strictEqual(1 + 1, 2));
test('waits', async () => { await new Promise((r) => setTimeout(r, 10)); });
X
#: run
node --test --test-reporter=tap a.test.js
