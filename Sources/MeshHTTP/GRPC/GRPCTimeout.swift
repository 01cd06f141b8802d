package import MeshCore

/// The field `grpc-timeout`: one to eight digits and a unit ("gRPC over HTTP2", section "Requests").
package enum GRPCTimeout {
  private static let maximumDigits = 8

  private static let units: [(letter: UInt8, nanoseconds: Int64)] = [
    (UInt8(ascii: "n"), 1),
    (UInt8(ascii: "u"), 1_000),
    (UInt8(ascii: "m"), 1_000_000),
    (UInt8(ascii: "S"), 1_000_000_000),
    (UInt8(ascii: "M"), 60_000_000_000),
    (UInt8(ascii: "H"), 3_600_000_000_000),
  ]

  /// Nil for what is not a timeout. Zero is one, although the specification asks for a positive number: clients write it when
  /// their deadline has passed already. More than 292 years become 292 years.
  package static func parse(_ text: UnsafeRawBufferPointer) -> TimeSpan? {
    guard (2...maximumDigits + 1).contains(text.count) else { return nil }
    var number: Int64 = 0
    for digit in text.dropLast() {
      guard digit &- 0x30 < 10 else { return nil }
      number = number * 10 + Int64(digit &- 0x30)
    }
    let letter = text[text.count - 1]
    for unit in units where unit.letter == letter {
      let (product, isOver) = number.multipliedReportingOverflow(by: unit.nanoseconds)
      return .nanoseconds(isOver ? .max : product)
    }
    return nil
  }

  /// Calls `body` with `time` in the finest unit for which eight digits suffice, rounded down, so that a receiver never gets
  /// more time than there is. At least one nanosecond.
  package static func withText(_ time: TimeSpan, _ body: (UnsafeRawBufferPointer) -> Void) {
    let nanoseconds = max(time.nanoseconds, 1)
    let limit: Int64 = 100_000_000
    let unit = units.first { nanoseconds / $0.nanoseconds < limit } ?? units[units.count - 1]
    withDecimal(Int(nanoseconds / unit.nanoseconds)) { digits in
      withUnsafeTemporaryAllocation(byteCount: digits.count + 1, alignment: 1) { text in
        text.copyMemory(from: digits)
        text[digits.count] = unit.letter
        body(UnsafeRawBufferPointer(text))
      }
    }
  }
}
