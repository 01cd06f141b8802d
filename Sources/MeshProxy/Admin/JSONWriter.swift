/// Writes JSON text for the admin pages. Keys are our own; values are escaped.
struct JSONWriter {
  private(set) var text = ""
  private var needsComma = false

  mutating func object(_ body: (inout JSONWriter) -> Void) {
    separate()
    text += "{"
    needsComma = false
    body(&self)
    text += "}"
    needsComma = true
  }

  mutating func array<T>(_ key: String, _ values: [T], _ element: (inout JSONWriter, T) -> Void) {
    self.key(key)
    text += "["
    needsComma = false
    for value in values { element(&self, value) }
    text += "]"
    needsComma = true
  }

  mutating func object(_ key: String, _ body: (inout JSONWriter) -> Void) {
    self.key(key)
    object(body)
  }

  /// An element of an array.
  mutating func value(_ value: String) {
    separate()
    text += Self.quote(value)
    needsComma = true
  }

  mutating func field(_ key: String, _ value: String) {
    self.key(key)
    text += Self.quote(value)
    needsComma = true
  }

  mutating func field(_ key: String, _ value: Int64) { raw(key, String(value)) }
  mutating func field(_ key: String, _ value: Bool) { raw(key, value ? "true" : "false") }
  mutating func field(_ key: String, _ value: Double) { raw(key, value.isFinite ? "\(value)" : "null") }

  private mutating func raw(_ key: String, _ value: String) {
    self.key(key)
    text += value
    needsComma = true
  }

  private mutating func key(_ key: String) {
    separate()
    text += Self.quote(key) + ":"
    needsComma = false
  }

  private mutating func separate() {
    if needsComma { text += "," }
    needsComma = false
  }

  static func quote(_ value: String) -> String {
    var out = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
