import MeshCore

/// Dates of HTTP fields (RFC 9110, section 5.6.7), in all three forms that a recipient has to understand.
package enum HTTPDate {
  /// Unix time in seconds; nil for anything else. `now` says which century a year of two digits is of.
  package static func parse(_ text: UnsafeRawBufferPointer, now: Int64) -> Int64? {
    var parts = Parts(text)
    // "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"
    guard parts.nextWord() != nil else { return nil }
    var day = parts.nextNumber()
    let month = parts.nextWord().flatMap(month)
    let isAsctime = day == nil
    if isAsctime { day = parts.nextNumber() }
    var year = isAsctime ? nil : parts.nextNumber()
    guard let hour = parts.nextNumber(), let minute = parts.nextNumber(), let second = parts.nextNumber() else {
      return nil
    }
    if isAsctime { year = parts.nextNumber() } else if parts.nextWord()?.equals("GMT") != true { return nil }
    guard let day, let month, let year, parts.isAtEnd, (1...31).contains(day), hour < 24, minute < 60, second <= 60
    else { return nil }
    let days = daysSince1970(year < 100 ? century(of: year, now) : year, month, day)
    return ((days * 24 + hour) * 60 + minute) * 60 + second
  }

  /// "A date that appears to be more than 50 years in the future" is "the most recent year in the past that had the same last two
  /// digits".
  private static func century(of year: Int64, _ now: Int64) -> Int64 {
    let latest = 1970 + now / 31_556_952 + 50
    let same = latest - latest % 100 + year
    return same > latest ? same - 100 : same
  }

  /// Of the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
  private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let y = month <= 2 ? year - 1 : year
    let era = y / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func month(_ name: UnsafeRawBufferPointer) -> Int64? {
    let names: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
    let all = UnsafeRawBufferPointer(start: names.utf8Start, count: names.utf8CodeUnitCount)
    for month in 0..<12 where all.slice(month * 3, 3).equals(name) { return Int64(month) + 1 }
    return nil
  }

  /// Words and numbers with spaces, commas, hyphens and colons between them.
  private struct Parts {
    private let text: UnsafeRawBufferPointer
    private var place = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { place == text.count }

    /// Nil, without a step, when a number or nothing stands next.
    mutating func nextWord() -> UnsafeRawBufferPointer? { next { $0 | 0x20 &- 0x61 < 26 } }

    /// At most four digits.
    mutating func nextNumber() -> Int64? {
      guard let digits = next({ $0 &- 0x30 < 10 }), digits.count <= 4 else { return nil }
      return digits.reduce(0) { $0 * 10 + Int64($1 &- 0x30) }
    }

    private mutating func next(_ isOfPart: (UInt8) -> Bool) -> UnsafeRawBufferPointer? {
      var start = place
      while start < text.count, " ,-:".utf8.contains(text[start]) { start += 1 }
      var end = start
      while end < text.count, isOfPart(text[end]) { end += 1 }
      guard end > start else { return nil }
      place = end
      return text.slice(start, end - start)
    }
  }
}
