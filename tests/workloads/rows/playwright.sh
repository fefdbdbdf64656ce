#: expect
clicked 1
#: setup
cat >p.js <<'X'
const { chromium } = require(process.env.DEPS + '/workloads/node_modules/playwright-core');
(async () => {
  const args = ['--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic'];
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', chromiumSandbox: true, args });
  const page = await browser.newPage();
  await page.goto(process.env.URL + '/served.html');
  await page.click('button');
  console.log(await page.textContent('#out'));
  console.log((await page.screenshot()).length > 100);
  await browser.close();
})();
X
#: run
node p.js
#: served
echo '<button onclick="document.getElementById(`out`).textContent = `clicked ${++n}`">x</button><p id=out></p><script>n = 0</script>' >served.html
