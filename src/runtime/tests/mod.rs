//! Both engines, and the step-downs of io_uring, behind one face: every test runs on each.

mod descriptors;
mod echo;
mod mail;
mod ping;
mod support;
