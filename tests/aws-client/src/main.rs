//! `sdk-whoami`: AWS's SDK for Rust, which finds credentials by its own chain, asks the STS at `$URL` who it is and prints
//! the ARN.

use std::process::ExitCode;

use aws_config::BehaviorVersion;
use aws_sdk_sts::error::DisplayErrorContext;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let who = runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(who()));
    match who {
        Ok(arn) => {
            println!("{arn}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("sdk-whoami: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn who() -> Result<String, String> {
    let url = std::env::var("URL").map_err(|e| format!("URL: {e}"))?;
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let sts = aws_sdk_sts::Client::from_conf(aws_sdk_sts::config::Builder::from(&config).endpoint_url(url).build());
    let who = sts.get_caller_identity().send().await.map_err(|e| DisplayErrorContext(e).to_string())?;
    who.arn().map(str::to_owned).ok_or_else(|| "an answer without ARN".into())
}
