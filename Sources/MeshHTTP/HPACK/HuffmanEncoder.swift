/// Encodes text with the HPACK Huffman code. The table is made once for the process and never changes.
struct HuffmanEncoder {
  /// By symbol: code << 8 | length.
  private let table: UnsafePointer<UInt64>

  private init() {
    let table = UnsafeMutablePointer<UInt64>.allocate(capacity: 256)
    for symbol in 0..<256 {
      table[symbol] = UInt64(HuffmanCode.codes[symbol]) << 8 | UInt64(HuffmanCode.lengths[symbol])
    }
    self.table = UnsafePointer(table)
  }

  /// Immutable after its making, hence safe to share.
  nonisolated(unsafe) static let shared = HuffmanEncoder()

  /// Bytes that `encode` would write.
  func length(of source: UnsafeRawBufferPointer) -> Int {
    var bits: UInt64 = 0
    for byte in source { bits &+= table[Int(byte)] & 0xFF }
    return Int(truncatingIfNeeded: (bits &+ 7) &>> 3)
  }

  /// Writes the code of `source`, filled up with ones, and returns the place after it.
  func encode(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    var out = target
    var window: UInt64 = 0
    var bits: UInt64 = 0
    for byte in source {
      let entry = table[Int(byte)]
      let length = entry & 0xFF
      window = (window &<< length) | (entry &>> 8)
      bits &+= length
      if bits >= 32 {
        bits &-= 32
        let word = UInt32(truncatingIfNeeded: window &>> bits)
        out.storeBytes(of: word.bigEndian, as: UInt32.self)
        out += 4
      }
    }
    while bits >= 8 {
      bits &-= 8
      out.storeBytes(of: UInt8(truncatingIfNeeded: window &>> bits), as: UInt8.self)
      out += 1
    }
    if bits > 0 {
      let last = (window &<< (8 &- bits)) | (0xFF &>> bits)
      out.storeBytes(of: UInt8(truncatingIfNeeded: last), as: UInt8.self)
      out += 1
    }
    return out
  }
}
