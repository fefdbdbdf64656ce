# For unprivileged mode: a file in the store has no setuid bit. On NixOS, `security.wrappers` cannot stand in for it, since
# the helper looks at its own file and at the directories above; use the AWS profiles of your own.
#   nix-build packaging/nix
{
  pkgs ? import <nixpkgs> { },
}:

pkgs.rustPlatform.buildRustPackage {
  pname = "agent-aws";
  version = "0.1.0";
  src = pkgs.lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;
  # Five of the programs are linked statically.
  buildInputs = [ pkgs.stdenv.cc.libc.static ];
  buildPhase = ''
    cargo build --locked -p xtask
    target/debug/xtask build
  '';
  # `make test` needs namespaces, a network and minutes.
  doCheck = false;
  installPhase = ''
    target/debug/xtask install --prefix "$out" --no-setuid
  '';
  # Stripped already, and those that are executed but not readable are to stay so.
  dontStrip = true;
  dontPatchShebangs = true;
  meta = {
    description = "Run a coding agent as exactly one AWS identity";
    license = [
      pkgs.lib.licenses.asl20
      pkgs.lib.licenses.mit
    ];
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    mainProgram = "agent-aws";
  };
}
