#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = agent_aws_gateway::fuzzing::dns_message(bytes);
});
