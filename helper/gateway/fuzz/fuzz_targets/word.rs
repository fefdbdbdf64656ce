#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| agent_aws_gateway::fuzzing::word(text));
