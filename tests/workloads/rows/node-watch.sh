#: expect
saw new.txt
#: setup
mkdir watched
cat >w.js <<'X'
const fs = require('fs');
const seen = new Set();
const watcher = fs.watch('watched', { recursive: true }, (_, name) => {
  if (name === 'new.txt' && !seen.has(name)) { seen.add(name); console.log('saw', name); watcher.close(); fs.unwatchFile('watched/new.txt'); process.exit(0); }
});
setTimeout(() => fs.writeFileSync('watched/new.txt', 'x'), 50);
setTimeout(() => { console.log('saw nothing'); process.exit(1); }, 10000);
X
#: run
node w.js
