//! The tables: each variable with the reason why it is there.

use super::Row;

/// What the agent gets of the caller's environment. HOME, USER, LOGNAME, SHELL, TMPDIR and AWS_* are the helper's to
/// set; PATH is sent and the helper keeps what exists inside.
pub(super) const AGENT: &[Row] = &[
    (
        "PATH",
        "where the caller's commands are; the helper keeps what exists in the sandbox",
    ),
    ("TERM", "what the terminal understands"),
    ("COLORTERM", "whether it has true colour"),
    ("COLORFGBG", "whether its background is dark"),
    ("TERM_PROGRAM", "agents adapt keys and links to the terminal's program"),
    ("TERM_PROGRAM_VERSION", "as TERM_PROGRAM"),
    ("VTE_VERSION", "as TERM_PROGRAM, for terminals of that family"),
    ("COLUMNS", "width where there is no terminal to ask"),
    ("LINES", "height where there is no terminal to ask"),
    ("NO_COLOR", "the caller wants no colour"),
    ("FORCE_COLOR", "the caller wants colour in a pipe"),
    ("CLICOLOR", "as NO_COLOR"),
    ("CLICOLOR_FORCE", "as FORCE_COLOR"),
    ("LANG", "language and character set"),
    ("LANGUAGE", "languages in order of preference"),
    ("LC_ALL", "locale: all of it"),
    ("LC_ADDRESS", "locale"),
    ("LC_COLLATE", "locale: sorting"),
    ("LC_CTYPE", "locale: character set"),
    ("LC_IDENTIFICATION", "locale"),
    ("LC_MEASUREMENT", "locale"),
    ("LC_MESSAGES", "locale: language"),
    ("LC_MONETARY", "locale"),
    ("LC_NAME", "locale"),
    ("LC_NUMERIC", "locale: decimal sign"),
    ("LC_PAPER", "locale"),
    ("LC_TELEPHONE", "locale"),
    ("LC_TIME", "locale: dates"),
    ("TZ", "time zone"),
    ("EDITOR", "the caller's editor"),
    ("VISUAL", "as EDITOR"),
    ("PAGER", "the caller's pager"),
    (
        "LESS",
        "options of less: a pager that does not leave at the end surprises",
    ),
    ("LESSCHARSET", "character set of less"),
    ("CI", "tools ask no questions there"),
];

/// What tells where the caller's AWS configuration is and how to reach AWS. Only the broker of an own source gets it,
/// under the caller's uid; the agent never does.
pub(super) const OWN_SOURCE: &[Row] = &[
    ("HOME", "~/.aws, and the caches of SSO and of credential processes"),
    ("PATH", "where a credential_process is looked up"),
    ("AWS_CONFIG_FILE", "configuration in another place"),
    ("AWS_SHARED_CREDENTIALS_FILE", "credentials in another place"),
    ("AWS_CA_BUNDLE", "certificates of an intercepting proxy"),
    ("AWS_ENDPOINT_URL", "endpoints other than the public ones"),
    ("AWS_ENDPOINT_URL_STS", "as AWS_ENDPOINT_URL, for STS"),
    ("AWS_ENDPOINT_URL_SSO", "as AWS_ENDPOINT_URL, for SSO profiles"),
    ("AWS_ENDPOINT_URL_SSO_OIDC", "as AWS_ENDPOINT_URL, for SSO profiles"),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "the caller switched those off"),
    ("AWS_REGION", "region where the profile has none"),
    ("AWS_DEFAULT_REGION", "as AWS_REGION"),
    ("AWS_STS_REGIONAL_ENDPOINTS", "which STS endpoint"),
    ("AWS_USE_FIPS_ENDPOINT", "which STS endpoint"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "which STS endpoint"),
    ("AWS_EC2_METADATA_DISABLED", "the caller switched instance metadata off"),
    ("AWS_MAX_ATTEMPTS", "retries"),
    ("AWS_RETRY_MODE", "retries"),
    ("SSL_CERT_FILE", "certificates of an intercepting proxy"),
    ("SSL_CERT_DIR", "as SSL_CERT_FILE"),
    ("HTTPS_PROXY", "the way out"),
    ("HTTP_PROXY", "the way out"),
    ("NO_PROXY", "where the way out is not needed"),
    ("https_proxy", "the way out"),
    ("http_proxy", "the way out"),
    ("no_proxy", "where the way out is not needed"),
];

const ONE_IDENTITY: &str = "the agent has the one identity of its session: choose it with --as or --profile";
const LOADER: &str = "it puts code into every program that starts, before that program's own";
const REGION: &str = "use --region";
const SANDBOX: &str = "the sandbox sets it";

/// What `--env` cannot set, and what to do instead. The helper checks again.
pub(super) const REFUSED: &[Row] = &[
    ("AWS_ACCESS_KEY_ID", ONE_IDENTITY),
    ("AWS_SECRET_ACCESS_KEY", ONE_IDENTITY),
    ("AWS_SESSION_TOKEN", ONE_IDENTITY),
    ("AWS_SECURITY_TOKEN", ONE_IDENTITY),
    ("AWS_CREDENTIAL_EXPIRATION", ONE_IDENTITY),
    ("AWS_CREDENTIAL_FILE", ONE_IDENTITY),
    ("AWS_PROFILE", ONE_IDENTITY),
    ("AWS_DEFAULT_PROFILE", ONE_IDENTITY),
    ("AWS_CONFIG_FILE", ONE_IDENTITY),
    ("AWS_SHARED_CREDENTIALS_FILE", ONE_IDENTITY),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", ONE_IDENTITY),
    ("AWS_ROLE_ARN", ONE_IDENTITY),
    ("AWS_ROLE_SESSION_NAME", ONE_IDENTITY),
    ("AWS_CONTAINER_*", ONE_IDENTITY),
    ("AWS_EC2_METADATA_*", ONE_IDENTITY),
    ("AWS_BEARER_TOKEN_*", ONE_IDENTITY),
    ("AWS_REGION", REGION),
    ("AWS_DEFAULT_REGION", REGION),
    ("AGENT_AWS_*", SANDBOX),
    ("HOME", SANDBOX),
    ("USER", SANDBOX),
    ("LOGNAME", SANDBOX),
    ("SHELL", SANDBOX),
    ("TMPDIR", SANDBOX),
    ("LD_*", LOADER),
    ("GCONV_PATH", LOADER),
    ("GLIBC_TUNABLES", LOADER),
];
