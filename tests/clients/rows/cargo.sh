#: expect
Downloaded greeting v1.0.0
checksum = "
#: serve
mkdir -p index/gr/ee crates greeting-1.0.0/src
printf '[package]\nname = "greeting"\nversion = "1.0.0"\nedition = "2021"\n' >greeting-1.0.0/Cargo.toml
echo 'pub fn hello() {}' >greeting-1.0.0/src/lib.rs
tar -czf crates/greeting-1.0.0.crate greeting-1.0.0
checksum=$(sha256sum crates/greeting-1.0.0.crate | cut -d' ' -f1)
printf '{"name":"greeting","vers":"1.0.0","deps":[],"cksum":"%s","features":{},"yanked":false}\n' "$checksum" >index/gr/ee/greeting
echo '{"dl":"@URL@/crates/{crate}-{version}.crate"}' >index/config.json
#: run
mkdir -p src "$PWD/cargo"
export CARGO_HOME=$PWD/cargo
printf '[registries.far]\nindex = "sparse+%s/index/"\n' "$TLS" >cargo/config.toml
printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ngreeting = { version = "1", registry = "far" }\n' >Cargo.toml
echo 'fn main() {}' >src/main.rs
cargo fetch
cat Cargo.lock
