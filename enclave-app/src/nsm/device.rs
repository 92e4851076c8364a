//! The real module: `/dev/nsm`, one descriptor for the life of the process.
//!
//! The driver's crate speaks through an integer descriptor and a lenient
//! reader. The descriptor is opened here, so that no other file can be in its
//! place, and documents are never verified with that reader.

use std::fs::File;
use std::os::fd::AsRawFd;

use aws_nitro_enclaves_nsm_api::api::{ErrorCode, Request, Response};
use aws_nitro_enclaves_nsm_api::driver::nsm_process_request;
use zeroize::Zeroizing;

use super::{AttestRequest, Digest, Nsm, NsmError, Register, TrustAnchor};

const PATH: &str = "/dev/nsm";

/// `/dev/nsm`.
#[derive(Debug)]
pub struct Device {
    file: File,
}

impl Device {
    /// Opens the device.
    pub fn open() -> Result<Self, NsmError> {
        let file = File::options().read(true).write(true).open(PATH);
        file.map(|file| Self { file }).map_err(|_| NsmError::NoDevice)
    }

    fn ask(&self, request: Request) -> Result<Response, NsmError> {
        let response = nsm_process_request(self.file.as_raw_fd(), request);
        if let Response::Error(code) = response { Err(refusal(&code)) } else { Ok(response) }
    }
}

impl Nsm for Device {
    fn attest(&self, request: &AttestRequest) -> Result<Vec<u8>, NsmError> {
        let request = Request::Attestation {
            nonce: request.nonce.clone().map(Into::into),
            user_data: request.user_data.clone().map(Into::into),
            public_key: request.public_key.clone().map(Into::into),
        };
        let Response::Attestation { document } = self.ask(request)? else {
            return Err(NsmError::Unexpected);
        };
        Ok(document)
    }

    fn describe(&self, index: u8) -> Result<Register, NsmError> {
        let Response::DescribePCR { lock, data } =
            self.ask(Request::DescribePCR { index: index.into() })?
        else {
            return Err(NsmError::Unexpected);
        };
        Ok(Register { value: digest(&data)?, locked: lock })
    }

    fn extend(&self, index: u8, data: &[u8]) -> Result<Digest, NsmError> {
        let Response::ExtendPCR { data } =
            self.ask(Request::ExtendPCR { index: index.into(), data: data.to_vec() })?
        else {
            return Err(NsmError::Unexpected);
        };
        digest(&data)
    }

    fn lock(&self, range: u8) -> Result<(), NsmError> {
        let Response::LockPCRs = self.ask(Request::LockPCRs { range: range.into() })? else {
            return Err(NsmError::Unexpected);
        };
        Ok(())
    }

    fn random(&self) -> Result<Zeroizing<Vec<u8>>, NsmError> {
        let Response::GetRandom { random } = self.ask(Request::GetRandom)? else {
            return Err(NsmError::Unexpected);
        };
        Ok(Zeroizing::new(random))
    }

    fn trust_anchor(&self) -> TrustAnchor {
        TrustAnchor::Aws
    }
}

fn digest(data: &[u8]) -> Result<Digest, NsmError> {
    data.try_into().map_err(|_| NsmError::Unexpected)
}

fn refusal(code: &ErrorCode) -> NsmError {
    NsmError::Refused(match code {
        ErrorCode::Success => return NsmError::Unexpected,
        ErrorCode::ReadOnlyIndex => return NsmError::Locked,
        ErrorCode::InvalidArgument => "invalid argument",
        ErrorCode::InvalidIndex => "invalid index",
        ErrorCode::InvalidResponse => "invalid response",
        ErrorCode::InvalidOperation => "invalid operation",
        ErrorCode::BufferTooSmall => "buffer too small",
        ErrorCode::InputTooLarge => "input too large",
        ErrorCode::InternalError => "internal error",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_device_says_so() {
        if std::path::Path::new(PATH).exists() {
            assert!(Device::open().is_ok());
        } else {
            assert_eq!(Device::open().map(|_| ()), Err(NsmError::NoDevice));
        }
    }

    #[test]
    fn registers_of_another_length_are_refused() {
        assert_eq!(digest(&[0; 32]), Err(NsmError::Unexpected));
        assert_eq!(digest(&[3; 48]), Ok([3; 48]));
    }
}
