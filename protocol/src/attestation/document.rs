//! The payload: one map of nine known fields, steps 10 to 21.

use minicbor::Decoder;

use super::cbor::{Fault, MapLen, Reader};
use super::error::AttestationError as Error;

/// Most registers there can be.
const PCRS_MAX: u64 = 32;
/// Longest certificate, in bytes.
const CERTIFICATE_LEN_MAX: usize = 1024;
/// Longest `public_key`, `user_data` and `nonce`, in bytes: what genuine documents reach.
const OPTIONAL_LEN_MAX: usize = 1024;
/// Certificates read from a bundle at most; a chain has four. More is refused before any is kept.
const CA_BUNDLE_MAX: u64 = 8;

/// A SHA-384 register.
pub(super) type Pcr = [u8; 48];

/// The fields, where they lie in the input. Nothing is verified.
#[derive(Debug)]
pub(super) struct Document<'b> {
    pub(super) module_id: &'b str,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: u64,
    pub(super) pcrs: Pcrs<'b>,
    pub(super) certificate: &'b [u8],
    pub(super) ca_bundle: Vec<&'b [u8]>,
    pub(super) public_key: Option<&'b [u8]>,
    pub(super) user_data: Option<&'b [u8]>,
    pub(super) nonce: Option<&'b [u8]>,
}

/// Registers by index.
#[derive(Debug, Default)]
pub(super) struct Pcrs<'b>([Option<&'b Pcr>; 32]);

impl<'b> Pcrs<'b> {
    pub(super) fn get(&self, index: u8) -> Option<&'b Pcr> {
        self.0.get(usize::from(index)).copied().flatten()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, &'b Pcr)> {
        (0..32).filter_map(|index| Some((index, self.get(index)?)))
    }
}

/// A field that is there, though perhaps null.
struct Nullable<'b>(Option<&'b [u8]>);

#[derive(Default)]
struct Fields<'b> {
    module_id: Option<&'b str>,
    digest: Option<()>,
    timestamp: Option<u64>,
    pcrs: Option<Pcrs<'b>>,
    certificate: Option<&'b [u8]>,
    ca_bundle: Option<Vec<&'b [u8]>>,
    public_key: Option<Nullable<'b>>,
    user_data: Option<Nullable<'b>>,
    nonce: Option<Nullable<'b>>,
}

impl<'b> Document<'b> {
    pub(super) fn read(payload: &'b [u8]) -> Result<Self, Error> {
        Self::read_fields(payload)
            .map_err(|error| if is_nitro_tpm(payload) { Error::NitroTpm } else { error }) // 21
    }

    fn read_fields(payload: &'b [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let len = reader.any_map().map_err(|_| Error::PayloadForm)?; // 10
        let mut fields = Fields::default();
        let mut read: u64 = 0;
        loop {
            match len {
                MapLen::Definite(len) if read == len => break,
                MapLen::Indefinite if reader.end_of_indefinite() => break,
                MapLen::Definite(_) | MapLen::Indefinite => {}
            }
            let key = reader.text().map_err(form_or(Error::Fields))?; // 11
            fields.read(key, &mut reader)?;
            read = read.saturating_add(1);
        }
        if !reader.at_end() {
            return Err(Error::PayloadForm); // 10
        }
        fields.into_document()
    }
}

impl<'b> Fields<'b> {
    fn read(&mut self, key: &str, reader: &mut Reader<'b>) -> Result<(), Error> {
        match key {
            "module_id" => {
                mandatory(self.module_id.as_ref(), reader)?;
                let text = reader.text().map_err(form_or(Error::ModuleId))?;
                if text.is_empty() {
                    return Err(Error::ModuleId); // 13
                }
                self.module_id = Some(text);
            }
            "digest" => {
                mandatory(self.digest.as_ref(), reader)?;
                if reader.text().map_err(form_or(Error::Digest))? != "SHA384" {
                    return Err(Error::Digest); // 14
                }
                self.digest = Some(());
            }
            "timestamp" => {
                mandatory(self.timestamp.as_ref(), reader)?;
                let at = reader.unsigned().map_err(form_or(Error::Timestamp))?;
                if at == 0 {
                    return Err(Error::Timestamp); // 15
                }
                self.timestamp = Some(at);
            }
            "pcrs" => {
                mandatory(self.pcrs.as_ref(), reader)?;
                self.pcrs = Some(read_pcrs(reader)?);
            }
            "certificate" => {
                mandatory(self.certificate.as_ref(), reader)?;
                self.certificate = Some(read_certificate(reader, Error::Certificate)?); // 17
            }
            "cabundle" => {
                mandatory(self.ca_bundle.as_ref(), reader)?;
                self.ca_bundle = Some(read_ca_bundle(reader)?);
            }
            "public_key" => {
                once(self.public_key.as_ref())?;
                let key = optional(reader, Error::PublicKey)?; // 19
                // One genuine document has an empty key: it means none.
                self.public_key = Some(Nullable(key.filter(|key| !key.is_empty())));
            }
            "user_data" => {
                once(self.user_data.as_ref())?;
                self.user_data = Some(Nullable(optional(reader, Error::UserDataOrNonce)?)); // 20
            }
            "nonce" => {
                once(self.nonce.as_ref())?;
                self.nonce = Some(Nullable(optional(reader, Error::UserDataOrNonce)?)); // 20
            }
            _ => return Err(Error::Fields), // 11
        }
        Ok(())
    }

    fn into_document(self) -> Result<Document<'b>, Error> {
        self.digest.ok_or(Error::Fields)?;
        Ok(Document {
            module_id: self.module_id.ok_or(Error::Fields)?,
            timestamp: self.timestamp.ok_or(Error::Fields)?,
            pcrs: self.pcrs.ok_or(Error::Fields)?,
            certificate: self.certificate.ok_or(Error::Fields)?,
            ca_bundle: self.ca_bundle.ok_or(Error::Fields)?,
            public_key: self.public_key.and_then(|field| field.0),
            user_data: self.user_data.and_then(|field| field.0),
            nonce: self.nonce.and_then(|field| field.0),
        })
    }
}

/// Whether what was refused is another kind of document under the same root: it says which.
fn is_nitro_tpm(payload: &[u8]) -> bool {
    let mut reader = Decoder::new(payload);
    let (mut tpm, mut pcrs) = (false, false);
    if reader.map().is_err() {
        return false;
    }
    while let Ok(key) = reader.str() {
        tpm |= key == "nitrotpm_pcrs";
        pcrs |= key == "pcrs";
        if reader.skip().is_err() {
            break;
        }
    }
    tpm && !pcrs
}

fn read_pcrs<'b>(reader: &mut Reader<'b>) -> Result<Pcrs<'b>, Error> {
    let len = reader.map().map_err(form_or(Error::Pcrs))?;
    if !(1..=PCRS_MAX).contains(&len) {
        return Err(Error::Pcrs); // 16
    }
    let mut pcrs = Pcrs::default();
    for _ in 0..len {
        let index = reader.unsigned().map_err(form_or(Error::Pcrs))?;
        let value = reader.bytes().map_err(form_or(Error::Pcrs))?;
        let slot = usize::try_from(index)
            .ok()
            .and_then(|index| pcrs.0.get_mut(index))
            .ok_or(Error::Pcrs)?;
        if slot.is_some() {
            return Err(Error::Pcrs);
        }
        *slot = Some(value.try_into().map_err(|_| Error::Pcrs)?);
    }
    Ok(pcrs)
}

fn read_ca_bundle<'b>(reader: &mut Reader<'b>) -> Result<Vec<&'b [u8]>, Error> {
    let len = reader.array().map_err(form_or(Error::CaBundle))?;
    if len == 0 {
        return Err(Error::CaBundle); // 18
    }
    let mut bundle = Vec::new();
    for index in 0..len {
        let certificate = read_certificate(reader, Error::CaBundle)?;
        if index >= CA_BUNDLE_MAX {
            return Err(Error::TooMuchWork); // 35
        }
        bundle.push(certificate);
    }
    Ok(bundle)
}

fn read_certificate<'b>(reader: &mut Reader<'b>, refused: Error) -> Result<&'b [u8], Error> {
    let bytes = reader.bytes().map_err(form_or(refused))?;
    if bytes.is_empty() || bytes.len() > CERTIFICATE_LEN_MAX { Err(refused) } else { Ok(bytes) }
}

/// A repeated key is refused before its value is looked at (step 11), a null one here (step 12).
fn mandatory<T>(slot: Option<&T>, reader: &mut Reader<'_>) -> Result<(), Error> {
    once(slot)?;
    if reader.null() { Err(Error::Null) } else { Ok(()) }
}

const fn once<T>(slot: Option<&T>) -> Result<(), Error> {
    if slot.is_some() { Err(Error::Fields) } else { Ok(()) }
}

fn optional<'b>(reader: &mut Reader<'b>, refused: Error) -> Result<Option<&'b [u8]>, Error> {
    if reader.null() {
        return Ok(None); // 12: what the device writes for an absent field
    }
    let bytes = reader.bytes().map_err(form_or(refused))?;
    if bytes.len() > OPTIONAL_LEN_MAX { Err(refused) } else { Ok(Some(bytes)) }
}

fn form_or(of_type: Error) -> impl Fn(Fault) -> Error {
    move |fault| match fault {
        Fault::Cut | Fault::Form => Error::PayloadForm, // 10
        Fault::Type => of_type,
    }
}
