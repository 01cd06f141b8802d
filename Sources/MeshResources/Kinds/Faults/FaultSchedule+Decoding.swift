import MeshCore
import MeshPolicy

extension FaultSchedule {
  init?(_ field: Field) {
    guard let fields = field.fields() else { return nil }
    let start = fields.optional("start").flatMap { $0.time() }
    let endField = fields.optional("end")
    let end = endField.flatMap { $0.time() }
    let every = fields.optional("every")
    let length = fields.optional("for")
    fields.finish()
    if let start, let end, end <= start { endField?.error("is not after start", fix: "swap the two") }
    self.init(start: start, end: end)
    guard every != nil || length != nil else {
      if start == nil, end == nil, !field.context.hasErrors {
        fields.error("says nothing", fix: "write start, end or both")
      }
      return
    }
    guard let every, let length else {
      (every ?? length)?.error("every and for stand together", fix: "write every: 1h and for: 5m")
      return
    }
    if start == nil { every.error("windows are counted from start", fix: "write start") }
    guard let period = every.duration(), let span = length.duration() else { return }
    if span <= .zero || span > period { length.error("must be more than nothing and at most every") }
    windows = Windows(
      period: max(period.nanoseconds / 1_000_000, 1), length: max(span.nanoseconds / 1_000_000, 1))
  }
}

extension Field {
  /// A time of RFC 3339, in Unix milliseconds.
  fileprivate func time() -> Int64? {
    guard let text = string() else { return nil }
    if let time = RFC3339.milliseconds(text) { return time }
    error("\"\(text)\" is not a time", fix: "write it as 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00")
    return nil
  }
}

/// Dates of RFC 3339 after 1970, to the millisecond.
package enum RFC3339 {
  package static func milliseconds(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    func number(_ offset: Int, _ count: Int, _ range: ClosedRange<Int64>) -> Int64? {
      guard offset + count <= bytes.count else { return nil }
      var value: Int64 = 0
      for byte in bytes[offset..<offset + count] {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int64(byte - 0x30)
      }
      return range.contains(value) ? value : nil
    }
    func isMark(_ offset: Int, _ marks: String) -> Bool { offset < bytes.count && marks.utf8.contains(bytes[offset]) }
    guard let year = number(0, 4, 1970...9999), isMark(4, "-"), let month = number(5, 2, 1...12), isMark(7, "-"),
      let day = number(8, 2, 1...31), isMark(10, "Tt "), let hour = number(11, 2, 0...23), isMark(13, ":"),
      let minute = number(14, 2, 0...59), isMark(16, ":"), let second = number(17, 2, 0...60),
      day <= days(of: month, year)
    else { return nil }
    var end = 19
    var fraction: Int64 = 0
    if isMark(end, ".") {
      let digits = bytes[(end + 1)...].prefix { (0x30...0x39).contains($0) }
      guard (1...9).contains(digits.count) else { return nil }
      let padded = digits.prefix(3) + Array(repeating: 0x30, count: max(0, 3 - digits.count))
      fraction = padded.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
      end += 1 + digits.count
    }
    var zone: Int64 = 0
    if isMark(end, "+-") {
      guard let hours = number(end + 1, 2, 0...23), isMark(end + 3, ":"), let minutes = number(end + 4, 2, 0...59)
      else { return nil }
      zone = (hours * 60 + minutes) * (isMark(end, "-") ? -1 : 1)
      end += 6
    } else {
      guard isMark(end, "Zz") else { return nil }
      end += 1
    }
    guard end == bytes.count else { return nil }
    let seconds = ((daysSince1970(year, month, day) * 24 + hour) * 60 + minute - zone) * 60 + second
    return seconds > 0 ? seconds * 1000 + fraction : nil
  }

  private static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

  private static func days(of month: Int64, _ year: Int64) -> Int64 {
    [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][Int(month) - 1]
  }

  private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let before = year - 1
    let ofYears = before * 365 + before / 4 - before / 100 + before / 400 - 719_162
    return (1..<month).reduce(ofYears + day - 1) { $0 + days(of: $1, year) }
  }
}
