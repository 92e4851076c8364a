//! What a customer demands of a service before anything is submitted.

use std::path::Path;

use protocol::attestation::Root;
use protocol::encoding::from_hex_array;
use protocol::key_bundle::DeploymentRule;
use protocol::limits;
use protocol::measurements::Measurements;
use url::Url;

use crate::clock::Clock;
use crate::error::ClientError;
use crate::files;

/// An address and the demands on whoever answers there.
#[derive(Debug)]
pub struct Service {
    pub url: Url,
    pub demands: Demands,
    pub clock: Clock,
}

/// Measurements, configuration and root of trust; each from the customer.
#[derive(Clone, Debug)]
pub struct Demands {
    pub measurements: Measurements,
    pub deployment: DeploymentRule,
    /// Where trust begins: AWS's root, or in simulator builds another.
    pub root: Root,
}

/// Reads `measurements.json`.
pub fn read_measurements(path: &Path) -> Result<Measurements, ClientError> {
    let bytes = files::read(path, limits::MEASUREMENTS_LEN_MAX)?;
    Measurements::from_json(&bytes).map_err(|error| {
        ClientError::usage(
            format!("{}: {error}", path.display()),
            "take measurements.json from the release you trust",
        )
    })
}

/// The rule for the deployment configuration: a pinned hash, or the defaults.
pub fn deployment_rule(sha256: Option<&str>) -> Result<DeploymentRule, ClientError> {
    sha256.map_or(Ok(DeploymentRule::Default), |hex| {
        from_hex_array(hex).map(DeploymentRule::Pinned).map_err(|_| {
            ClientError::usage(
                "the deployment hash is not a SHA-256",
                "give 64 lower-case hexadecimal digits",
            )
        })
    })
}
