//! Tests that start the real gateway.

#![cfg(test)]

mod command;
mod crash;
mod destinations;
mod docs;
mod doors;
mod joined;
mod sdk;
mod secure;
mod support;
mod tidy;
