/// Decodes Huffman strings (RFC 7541, section 5.2) symbol by symbol from a 64-bit window.
///
/// Codes of up to ten bits, all of ordinary text, take one look into a 2 KiB table; longer ones are found by
/// their length, the code being canonical. The tables are made once for the process and never change.
struct HuffmanDecoder {
  private static let fastBits = 10

  /// By the next ten bits: symbol << 4 | code length; 0 when the code is longer.
  private let fast: UnsafePointer<UInt16>
  /// By code length: the code after the last one of that length, aligned to 32 bits from the left.
  private let limits: UnsafePointer<UInt64>
  /// By code length: what to add to a code to get its place in `symbols`.
  private let offsets: UnsafePointer<Int>
  private let symbols: UnsafePointer<UInt8>

  private init() {
    let fast = UnsafeMutablePointer<UInt16>.allocate(capacity: 1 << Self.fastBits)
    fast.initialize(repeating: 0, count: 1 << Self.fastBits)
    let limits = UnsafeMutablePointer<UInt64>.allocate(capacity: 31)
    limits.initialize(repeating: 0, count: 31)
    let offsets = UnsafeMutablePointer<Int>.allocate(capacity: 31)
    offsets.initialize(repeating: 0, count: 31)
    let symbols = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
    let order = (0..<256).sorted { (HuffmanCode.lengths[$0], $0) < (HuffmanCode.lengths[$1], $1) }
    for (place, symbol) in order.enumerated() {
      let length = Int(HuffmanCode.lengths[symbol])
      let code = Int(HuffmanCode.codes[symbol])
      symbols[place] = UInt8(symbol)
      offsets[length] = place - code
      limits[length] = UInt64(code + 1) << (32 - length)
      guard length <= Self.fastBits else { continue }
      let first = code << (Self.fastBits - length)
      for slot in first..<(first + 1 << (Self.fastBits - length)) {
        fast[slot] = UInt16(symbol << 4 | length)
      }
    }
    self.fast = UnsafePointer(fast)
    self.limits = UnsafePointer(limits)
    self.offsets = UnsafePointer(offsets)
    self.symbols = UnsafePointer(symbols)
  }

  /// Immutable after its making, hence safe to share.
  nonisolated(unsafe) static let shared = HuffmanDecoder()

  /// The longest text that `count` encoded bytes can hold: the shortest code has five bits.
  static func maximumLength(_ count: Int) -> Int { count * 8 / 5 }

  /// Writes the text of `source` to `target`, which has room for `maximumLength`, and returns its length.
  /// Nil for a string that RFC 7541, section 5.2, calls an error: EOS, padding over seven bits or not of ones.
  func decode(_ source: UnsafeRawBufferPointer, into target: UnsafeMutablePointer<UInt8>) -> Int? {
    var out = target
    var window: UInt64 = 0
    var bits = 0
    var at = 0
    let count = source.count
    while true {
      if bits < 32, at &+ 8 <= count {
        // Whole bytes up to bit 56 or more. What was taken and not counted is the same when it is taken again.
        let next = UInt64(bigEndian: source.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        window |= next &>> UInt64(truncatingIfNeeded: bits)
        let taken = (63 &- bits) &>> 3
        at &+= taken
        bits &+= taken &* 8
      }
      while bits < 32, at < count {
        window |= UInt64(source[at]) << UInt64(truncatingIfNeeded: 56 &- bits)
        bits &+= 8
        at &+= 1
      }
      let entry = fast[Int(truncatingIfNeeded: window &>> 54)]
      var length = Int(entry & 0xF)
      var symbol = UInt8(truncatingIfNeeded: entry &>> 4)
      if length == 0 {
        guard let found = longCode(window &>> 32, bits) else { return finish(window, bits, at, count, target, out) }
        (symbol, length) = found
      } else if length > bits {
        return finish(window, bits, at, count, target, out)
      }
      out.pointee = symbol
      out += 1
      window <<= UInt64(truncatingIfNeeded: length)
      bits &-= length
    }
  }

  private func longCode(_ top: UInt64, _ bits: Int) -> (UInt8, Int)? {
    var length = Self.fastBits + 1
    while length <= 30, length <= bits {
      if top < limits[length] {
        let code = Int(truncatingIfNeeded: top &>> UInt64(32 &- length))
        return (symbols[code &+ offsets[length]], length)
      }
      length &+= 1
    }
    return nil
  }

  /// No whole code is left: what remains must be the first bits of EOS, fewer than eight.
  private func finish(
    _ window: UInt64, _ bits: Int, _ at: Int, _ count: Int,
    _ start: UnsafeMutablePointer<UInt8>, _ end: UnsafeMutablePointer<UInt8>
  ) -> Int? {
    guard at == count, bits < 8 else { return nil }
    if bits > 0, window &>> UInt64(64 &- bits) != (1 << UInt64(bits)) &- 1 { return nil }
    return end - start
  }
}
