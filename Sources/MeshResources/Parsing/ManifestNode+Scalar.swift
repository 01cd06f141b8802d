extension ManifestNode.Value {
  /// Resolves a plain scalar as the Kubernetes tools do: the JSON types, and the YAML 1.1 words for booleans.
  init(plain text: String) {
    switch text {
    case "", "~", "null", "Null", "NULL": self = .null
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": self = .bool(true)
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": self = .bool(false)
    default: self = Self.isNumber(text) ? .number(text) : .string(text)
    }
  }

  /// Decimal, hexadecimal, octal and floating point forms of YAML 1.1, without its sexagesimal ones.
  private static func isNumber(_ text: String) -> Bool {
    var rest = Substring(text)
    if let sign = rest.first, sign == "-" || sign == "+" { rest.removeFirst() }
    if rest.hasPrefix("0x") {
      rest.removeFirst(2)
      return !rest.isEmpty && rest.allSatisfy { $0.isASCII && $0.isHexDigit }
    }
    if rest.hasPrefix("0o") { rest.removeFirst(2) }
    let whole = removeDigits(&rest)
    var fraction = false
    if rest.first == "." {
      rest.removeFirst()
      fraction = removeDigits(&rest)
    }
    guard whole || fraction else { return false }
    guard let e = rest.first else { return true }
    guard e == "e" || e == "E" else { return false }
    rest.removeFirst()
    if let sign = rest.first, sign == "-" || sign == "+" { rest.removeFirst() }
    return removeDigits(&rest) && rest.isEmpty
  }

  private static func removeDigits(_ rest: inout Substring) -> Bool {
    let count = rest.prefix { ("0"..."9").contains($0) }.count
    rest.removeFirst(count)
    return count > 0
  }
}
