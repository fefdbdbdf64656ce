#: expect
added 2 packages
LEFT!
postinstall ran
#: alike
s/ in [0-9.]+m?s$/ in N s/
#: served
pack() {
    mkdir -p "$1/-" package; cp "$1".js package/index.js; mv "$1".manifest package/package.json
    tar -czf "$1/-/$1-1.0.0.tgz" package; rm -r package
    integrity="sha512-$(openssl dgst -sha512 -binary "$1/-/$1-1.0.0.tgz" | base64 -w0)"
    printf '{"name":"%s","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"%s","version":"1.0.0",%s"dist":{"tarball":"@URL@/%s/-/%s-1.0.0.tgz","integrity":"%s"}}}}' "$1" "$1" "$2" "$1" "$1" "$integrity" >"$1/index.json"
}
echo "module.exports = (s) => require('shout')('left' + s)" >left.js
echo '{"name":"left","version":"1.0.0","main":"index.js","dependencies":{"shout":"^1.0.0"}}' >left.manifest
echo "module.exports = (s) => s.toUpperCase()" >shout.js
echo '{"name":"shout","version":"1.0.0","main":"index.js"}' >shout.manifest
pack left '"dependencies":{"shout":"^1.0.0"},'
pack shout ''
#: setup
printf '{"name":"app","version":"1.0.0","scripts":{"start":"node app.js","prestart":"echo before","postinstall":"echo postinstall ran"},"dependencies":{"left":"^1.0.0"}}' >package.json
echo 'console.log(require("left")("!"))' >app.js
printf '%s\n' "registry=$URL/" update-notifier=false >.npmrc
#: run
npm install --no-audit --no-fund --foreground-scripts
npm start
rm -r node_modules; npm ci --no-audit --no-fund --prefer-offline --ignore-scripts; npm ls
npm pack --silent
