# For unprivileged mode, on Linux: what Homebrew installs belongs to a user and has no setuid bit.
#   brew install --HEAD ./packaging/homebrew/agent-aws.rb
class AgentAws < Formula
  desc "Run a coding agent as exactly one AWS identity"
  homepage "https://agent-aws.invalid/"
  license any_of: ["Apache-2.0", "MIT"]
  # Where the source is: a published version has `url` and `sha256` of its archive in place of this.
  head "file://#{File.expand_path("../..", __dir__)}", using: :git

  depends_on "rust" => :build
  depends_on :linux

  def install
    system "cargo", "build", "--locked", "-p", "xtask"
    system "target/debug/xtask", "build"
    system "target/debug/xtask", "install", "--prefix", prefix, "--no-setuid"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/agent-aws --version") unless head?
    assert_match "own:*", (share/"doc/agent-aws/docs/policy.md").read
  end
end
