import MeshCore

/// The syntax of names in Kubernetes (`apimachinery/pkg/util/validation`).
package enum NameSyntax {
  /// RFC 1123 label.
  package static func isLabel(_ text: String) -> Bool { ServiceName.isLabel(text) }

  /// RFC 1123 subdomain: labels joined by dots, 253 characters at most.
  package static func isSubdomain(_ text: String) -> Bool {
    guard !text.isEmpty, text.utf8.count <= 253 else { return false }
    return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
      !part.isEmpty && part.utf8.count <= 63 && part.utf8.allSatisfy { isLowerAlphanumeric($0) || $0 == hyphen }
        && part.utf8.first != hyphen && part.utf8.last != hyphen
    }
  }

  /// A label's value: empty, or 63 characters of letters, digits, `-`, `_`, `.`, with an alphanumeric at both ends.
  package static func isLabelValue(_ text: String) -> Bool {
    text.isEmpty || isQualifiedPart(text)
  }

  /// A label's or annotation's key: `name` or `prefix.example/name`.
  package static func isQualifiedName(_ text: String) -> Bool {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    return parts.count == 1 ? isQualifiedPart(parts[0]) : isSubdomain(parts[0]) && isQualifiedPart(parts[1])
  }

  /// A port's name: 15 characters of lower-case letters, digits and `-`, one letter at least (IANA service name).
  package static func isPortName(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard (1...15).contains(bytes.count), bytes.first != hyphen, bytes.last != hyphen else { return false }
    return bytes.allSatisfy { isLowerAlphanumeric($0) || $0 == hyphen } && bytes.contains { $0 >= UInt8(ascii: "a") }
      && !text.contains("--")
  }

  /// RFC 9110 section 5.6.2.
  package static func isToken(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { isAlphanumeric($0) || "!#$%&'*+-.^_`|~".utf8.contains($0) }
  }

  /// RFC 3986 `pchar` and `/`, without the percent sign.
  package static func isPathByte(_ byte: UInt8) -> Bool {
    isAlphanumeric(byte) || "-._~!$&'()*+,;=:@/".utf8.contains(byte)
  }

  private static let hyphen = UInt8(ascii: "-")

  private static func isQualifiedPart(_ text: String) -> Bool {
    guard let first = text.utf8.first, let last = text.utf8.last, text.utf8.count <= 63 else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && text.utf8.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
  }

  private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    isLowerAlphanumeric(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }
}

extension Field {
  func label() -> String? {
    name(
      NameSyntax.isLabel,
      "must be a DNS label: 1 to 63 of a-z, 0-9 and \"-\", beginning and ending with a letter or digit")
  }

  func subdomain() -> String? {
    name(NameSyntax.isSubdomain, "must be a DNS name of a-z, 0-9, \"-\" and \".\", 253 characters at most")
  }

  func portName() -> String? {
    name(NameSyntax.isPortName, "must be 1 to 15 of a-z, 0-9 and \"-\", with a letter among them")
  }

  private func name(_ isValid: (String) -> Bool, _ rule: String) -> String? {
    guard let text = string() else { return nil }
    if isValid(text) { return text }
    let lower = text.lowercased()
    let mended = String(lower.map { $0 == "_" || $0 == " " ? "-" : $0 })
    error("\"\(text)\" \(rule)", fix: isValid(mended) ? "write \(mended)" : "")
    return nil
  }

  /// A mapping of label keys to values.
  func labels() -> [String: String] {
    var labels: [String: String] = [:]
    for (key, field) in entries() {
      if !NameSyntax.isQualifiedName(key) {
        field.error("\"\(key)\" is not a label key", fix: "use name or example.com/name")
      }
      guard let value = field.node.isNull ? "" : field.string() else { continue }
      if !NameSyntax.isLabelValue(value) {
        field.error(
          "\"\(value)\" must be at most 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends"
        )
      }
      labels[key] = value
    }
    return labels
  }
}
