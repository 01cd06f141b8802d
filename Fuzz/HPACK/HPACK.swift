import MeshCore
import MeshHTTP

/// Arbitrary blocks never trap the decoder, and every list it accepts survives encoding and decoding again.
///
/// The input is cut into blocks by a length byte before each, so that the dynamic table lives from block to block.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHPACK(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  var decoder = HPACKDecoder()
  var encoder = HPACKEncoder()
  var mirror = HPACKDecoder()
  var at = 0
  while at < input.count {
    let size = min(Int(input[at]), input.count - at - 1)
    let block = input.slice(at + 1, size)
    at += 1 + size
    var fields: [(kind: FieldKind, name: [UInt8], value: [UInt8])] = []
    decoder.begin(block)
    reading: while true {
      switch decoder.next() {
      case .field(let field): fields.append((field.kind, [UInt8](field.name), [UInt8](field.value)))
      case .end: break reading
      case .failure: return 0
      }
    }
    precondition(decoder.tableByteCount <= 4096)
    roundTrip(fields, &encoder, &mirror)
  }
  return 0
}

private func roundTrip(
  _ fields: [(kind: FieldKind, name: [UInt8], value: [UInt8])], _ encoder: inout HPACKEncoder,
  _ mirror: inout HPACKDecoder
) {
  let bound = fields.reduce(HPACKEncoder.blockOverhead) {
    $0 + HPACKEncoder.bound(name: $1.name.count, value: $1.value.count)
  }
  let room = UnsafeMutableRawPointer.allocate(byteCount: bound, alignment: 1)
  defer { room.deallocate() }
  var out = encoder.begin(room)
  for field in fields {
    out = field.name.withUnsafeBytes { name in
      field.value.withUnsafeBytes { value in
        encoder.encode(field.kind, name: name, value: value, isNeverIndexed: false, to: out)
      }
    }
  }
  precondition(out - room <= bound, "the bound is too low")
  mirror.begin(UnsafeRawBufferPointer(start: room, count: out - room))
  for field in fields {
    guard case .field(let copy) = mirror.next() else { preconditionFailure("a field was lost") }
    precondition(field.name.withUnsafeBytes { copy.name.equals($0) }, "another name")
    precondition(field.value.withUnsafeBytes { copy.value.equals($0) }, "another value")
  }
  guard case .end = mirror.next() else { preconditionFailure("a field too many") }
  precondition(mirror.tableByteCount == encoder.tableByteCount)
}
