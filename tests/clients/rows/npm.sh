#: expect
added 1 package
LEFT!
#: serve
mkdir -p left/- package
echo 'module.exports = (s) => ("left" + s).toUpperCase()' >package/index.js
echo '{"name":"left","version":"1.0.0","main":"index.js"}' >package/package.json
tar -czf left/-/left-1.0.0.tgz package
integrity="sha512-$(openssl dgst -sha512 -binary left/-/left-1.0.0.tgz | base64 -w0)"
printf '{"name":"left","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"left","version":"1.0.0","dist":{"tarball":"@URL@/left/-/left-1.0.0.tgz","integrity":"%s"}}}}' "$integrity" >left/index.json
#: run
echo '{"name":"app","version":"1.0.0"}' >package.json
npm install --no-audit --no-fund --no-update-notifier --cache "$PWD/cache" --cafile "$CA" --registry "$TLS/" left
node -e 'console.log(require("left")("!"))'
