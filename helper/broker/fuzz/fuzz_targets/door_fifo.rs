#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| agent_aws_broker_fuzz::fifo(bytes));
