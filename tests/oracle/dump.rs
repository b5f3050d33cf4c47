//! The trailer of a DUMP payload: two bytes of version and a CRC-64 of all before, both with the low
//! byte first. Servers refuse versions above their own, so a payload changes hands with an older one;
//! the values of this stage are written alike in all versions.

/// The payload with its version lowered to `version`, if it is higher.
pub fn as_version(version: u16, payload: &[u8]) -> Vec<u8> {
    let Some(body_end) = payload.len().checked_sub(10) else { return payload.to_vec() };
    let stated = u16::from_le_bytes([payload[body_end], payload[body_end + 1]]);
    if stated <= version {
        return payload.to_vec();
    }
    let mut out = payload[..body_end].to_vec();
    out.extend(version.to_le_bytes());
    let crc = crc64(&out);
    out.extend(crc.to_le_bytes());
    out
}

/// CRC-64 with the polynomial that Redis took from Jones, bit by bit.
fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0x95ac_9329_ac4b_c9b5 }
        })
    })
}

#[test]
fn the_checksum_is_that_of_redis() {
    assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
}

#[test]
fn a_lowered_version_has_a_fitting_checksum() {
    let mut payload = vec![0, 1, b'a', 13, 0];
    payload.extend(crc64(&payload).to_le_bytes());
    let lowered = as_version(10, &payload);
    assert_eq!(lowered[..5], [0, 1, b'a', 10, 0]);
    assert_eq!(lowered[5..], crc64(&lowered[..5]).to_le_bytes());
    assert_eq!(as_version(13, &payload), payload);
}
