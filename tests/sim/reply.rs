//! The replies the simulation's clients understand.

#[derive(Debug, PartialEq)]
pub enum Value {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Value>),
    NullArray,
}

/// The first complete value of `bytes` and the bytes it takes.
pub fn take_value(bytes: &[u8]) -> Option<(Value, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[1..end]).expect("headers are text");
    let mut at = end + 2;
    let value = match bytes[0] {
        b'+' => Value::Simple(line.into()),
        b'-' => Value::Error(line.into()),
        b':' => Value::Int(line.parse().expect("a number")),
        b'$' if line == "-1" => Value::Null,
        b'$' => {
            let length: usize = line.parse().expect("a length");
            let data = bytes.get(at..at + length + 2)?;
            at += length + 2;
            Value::Bulk(data[..length].to_vec())
        }
        b'*' if line == "-1" => Value::NullArray,
        b'*' => {
            let mut values = Vec::new();
            for _ in 0..line.parse::<usize>().expect("a count") {
                let (value, used) = take_value(&bytes[at..])?;
                values.push(value);
                at += used;
            }
            Value::Array(values)
        }
        other => panic!("not a reply: {}", other as char),
    };
    Some((value, at))
}
