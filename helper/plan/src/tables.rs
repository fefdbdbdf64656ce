//! Data tables of the plan, one row each with its reason. They are compiled in: what hides and what shows is reviewed
//! with the code. Linux and macOS use the same rows.

/// A row of a table of paths.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Absolute, or relative to what the table says.
    pub path: &'static str,
    /// Why it is in the table.
    pub reason: &'static str,
}

const fn row(path: &'static str, reason: &'static str) -> Row {
    Row { path, reason }
}

/// Host directories that are shown read-only where they exist. A symbolic link is shown as that link.
pub const SYSTEM: &[Row] = &[
    row("/usr", "programs and libraries"),
    row("/bin", "programs"),
    row("/sbin", "programs"),
    row("/lib", "libraries"),
    row("/lib32", "libraries"),
    row("/lib64", "the dynamic loader"),
    row("/libx32", "libraries"),
    row("/opt", "add-on software"),
    row("/etc", "names, certificates, configuration of tools"),
    row("/nix/store", "programs on NixOS"),
    row("/gnu/store", "programs on Guix System"),
    row("/run/current-system", "programs on NixOS"),
    row("/sys/devices/system/cpu", "runtimes count processors here"),
    row("/sys/kernel/mm/transparent_hugepage", "memory allocators ask here"),
];

/// What of those directories is hidden, because it is nobody's business or says who may become what.
pub const HIDDEN_SYSTEM: &[Row] = &[
    row("/etc/agent-aws", "policy and sources of agent-aws"),
    row("/etc/shadow", "password hashes"),
    row("/etc/shadow-", "password hashes"),
    row("/etc/gshadow", "group password hashes"),
    row("/etc/gshadow-", "group password hashes"),
    row("/etc/security/opasswd", "old password hashes"),
    row("/etc/sudoers", "who may become root"),
    row("/etc/sudoers.d", "who may become root"),
    row("/etc/ssl/private", "private keys"),
    row("/etc/boto.cfg", "may hold AWS keys"),
    row("/etc/krb5.keytab", "host key"),
    row("/etc/ssh/ssh_host_rsa_key", "host key"),
    row("/etc/ssh/ssh_host_ecdsa_key", "host key"),
    row("/etc/ssh/ssh_host_ed25519_key", "host key"),
];

/// Device nodes of the sandbox's own /dev.
pub const DEVICES: &[Row] = &[
    row("/dev/null", "every program"),
    row("/dev/zero", "memory allocators"),
    row("/dev/full", "tests"),
    row("/dev/random", "random numbers"),
    row("/dev/urandom", "random numbers"),
    row("/dev/tty", "the caller's terminal"),
];

/// Symbolic links of the sandbox's own /dev: (path, target).
pub const DEVICE_LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Below a home: where credentials are kept. A project may not be one of these, contain one or lie inside one.
pub const SECRET_STORES: &[Row] = &[
    row(".aws", "AWS credentials, SSO and login caches"),
    row(".boto", "AWS keys of boto 2"),
    row(".s3cfg", "AWS keys of s3cmd"),
    row(".passwd-s3fs", "AWS keys of s3fs"),
    row(".elhaz", "AWS role configuration"),
    row(".awsvault", "AWS keys of aws-vault"),
    row(".aws-vault", "AWS keys of aws-vault"),
    row(".saml2aws", "AWS sign-on"),
    row(".granted", "AWS sign-on"),
    row(".ssh", "SSH keys"),
    row(".gnupg", "PGP keys"),
    row(".pki", "certificates"),
    row(".kube", "Kubernetes credentials"),
    row(".azure", "Azure credentials"),
    row(".config/gcloud", "Google Cloud credentials"),
    row(".oci", "Oracle Cloud credentials"),
    row(".docker", "registry credentials"),
    row(".config/containers", "registry credentials"),
    row(".config/gh", "GitHub tokens"),
    row(".config/hub", "GitHub tokens"),
    row(".config/glab-cli", "GitLab tokens"),
    row(".config/op", "1Password"),
    row(".config/sops", "encryption keys"),
    row(".age", "encryption keys"),
    row(".password-store", "passwords"),
    row(".local/share/keyrings", "passwords"),
    row(".terraform.d", "Terraform tokens"),
    row(".vault-token", "Vault token"),
    row(".netrc", "passwords"),
    row(".git-credentials", "passwords"),
    row(".mozilla", "browser passwords and cookies"),
    row(".config/google-chrome", "browser passwords and cookies"),
    row(".config/chromium", "browser passwords and cookies"),
    row(".local/share/agent-aws", "homes and records of agent-aws"),
    row(".config/agent-aws", "configuration of agent-aws"),
];

/// Host directories that may not be a project nor writable, whatever policy says: they are the system's.
pub const NEVER_WRITABLE: &[Row] = &[
    row("/", "the whole host"),
    row("/usr", "programs"),
    row("/etc", "system configuration"),
    row("/bin", "programs"),
    row("/sbin", "programs"),
    row("/lib", "libraries"),
    row("/lib64", "libraries"),
    row("/boot", "kernels"),
    row("/dev", "devices"),
    row("/proc", "processes"),
    row("/sys", "devices"),
    row("/run", "sockets and state of services"),
    row("/var", "state of services"),
    row("/root", "root's home"),
    row("/home", "all homes"),
    row("/etc/agent-aws", "policy and sources of agent-aws"),
    row("/var/log/agent-aws", "the audit trail"),
    row("/run/agent-aws", "sessions of agent-aws"),
];

/// Of [`NEVER_WRITABLE`], the ones in which nothing at all may be a project (in the others, a directory of the
/// caller's own may).
pub const NEVER_INSIDE: &[&str] = &[
    "/usr",
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/boot",
    "/dev",
    "/proc",
    "/sys",
    "/run/agent-aws",
    "/var/log/agent-aws",
];

/// Below a project: what other programs execute or trust. Read-only where it exists; every directory between it and
/// the project is pinned by a mount of its own, or `mv .git x` would undo the protection.
pub const PROJECT_TRUSTED: &[Row] = &[
    row(".git/hooks", "git executes them"),
    row(
        ".git/config",
        "git executes commands it names (core.fsmonitor, aliases, filters)",
    ),
    row(".git/config.worktree", "as .git/config"),
    row(".git/info/attributes", "chooses filters that git executes"),
    row(".gitmodules", "git fetches and configures what it names"),
    row(".envrc", "direnv executes it"),
    row(".vscode", "editors execute its tasks"),
    row(".idea", "editors execute its run configurations"),
    row(".mcp.json", "agents execute the servers it names"),
    row(".claude/settings.json", "hooks that the next agent executes"),
    row(".claude/settings.local.json", "hooks that the next agent executes"),
    row(".claude/hooks", "the next agent executes them"),
    row(".codex", "configuration of the next agent"),
    row(".husky", "git hooks"),
    row(".pre-commit-config.yaml", "git hooks"),
];

/// Variables that a caller may not hand to the agent: each would let the environment name another identity, or run
/// something before the command.
pub const REFUSED_VARIABLES: &[Row] = &[
    row("AWS_ACCESS_KEY_ID", "credentials never travel in the environment"),
    row("AWS_SECRET_ACCESS_KEY", "credentials never travel in the environment"),
    row("AWS_SESSION_TOKEN", "credentials never travel in the environment"),
    row("AWS_SECURITY_TOKEN", "credentials never travel in the environment"),
    row(
        "AWS_CREDENTIAL_EXPIRATION",
        "credentials never travel in the environment",
    ),
    row("AWS_BEARER_TOKEN_BEDROCK", "it is a credential of another identity"),
    row("AWS_PROFILE", "the session is one identity only"),
    row("AWS_DEFAULT_PROFILE", "the session is one identity only"),
    row("AWS_CONFIG_FILE", "agent-aws generates it"),
    row("AWS_SHARED_CREDENTIALS_FILE", "agent-aws sets it"),
    row("AWS_ROLE_ARN", "the session is one identity only"),
    row("AWS_WEB_IDENTITY_TOKEN_FILE", "the session is one identity only"),
    row("AWS_CONTAINER_CREDENTIALS_FULL_URI", "the session is one identity only"),
    row("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "agent-aws sets it"),
    row("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the session is one identity only"),
    row(
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "the session is one identity only",
    ),
    row("AWS_EC2_METADATA_DISABLED", "agent-aws sets it"),
    row("AGENT_AWS_FD", "agent-aws sets it"),
    row("AGENT_AWS_SESSION", "agent-aws sets it"),
    row("AGENT_AWS_IDENTITY", "agent-aws sets it"),
    row("LD_PRELOAD", "the loader executes it"),
    row("LD_LIBRARY_PATH", "the loader executes from it"),
    row("LD_AUDIT", "the loader executes it"),
    row("BASH_ENV", "every shell executes it"),
    row("ENV", "every shell executes it"),
    row("SSH_AUTH_SOCK", "the caller's SSH keys are not the agent's"),
    row("HOME", "agent-aws sets it"),
    row("USER", "agent-aws sets it"),
    row("LOGNAME", "agent-aws sets it"),
    row("XDG_RUNTIME_DIR", "agent-aws sets it"),
];
