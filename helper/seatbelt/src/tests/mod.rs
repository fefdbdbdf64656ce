//! Profiles are held to tables here, without a Mac: the evaluator to what was measured of seatbelt, the profiles to rows
//! that are made of the same tables as they are, and each clause to a row that needs it.

mod hostile;
mod lowering;
mod measured;
mod mutants;
mod rows;
mod scenario;
mod table;
mod words;
