import MeshCore

/// What a verified token says: names with values, as bytes, immutable. What no signature vouches for never gets here.
///
/// A name is the way to a value, keys joined by dots: `realm_access.roles` is the member `roles` of the object `realm_access`, and a
/// key that has dots itself (`https://example.com/roles`) is named as it stands. Two ways that give one name make a set that is refused, so a
/// name never has two meanings. A list of scalars has one value for each; so have the texts of `scope` and `permission`, which
/// hold words with spaces between (RFC 8693, section 4.2). Objects and lists inside a list cannot be named. A number has the text
/// that the token has for it, a boolean is `true` or `false`; null, `""` in a list of words and `[]` have no value.
package struct ClaimSet: Hashable, Sendable {
  private var bytes: [UInt8] = []
  private var claims: [Claim] = []

  private struct Claim: Hashable, Sendable {
    var nameStart: UInt32
    var nameLength: UInt32
    var valueStart: UInt32
    var valueLength: UInt32
  }

  package init() {}

  package var isEmpty: Bool { claims.isEmpty }

  /// How many values all names have.
  package var count: Int { claims.count }

  // MARK: - Lookups

  /// Whether one value of `name` satisfies `matches`. No allocation.
  @inline(__always)
  package func hasValue(
    of name: UnsafeRawBufferPointer, where matches: (UnsafeRawBufferPointer) -> Bool
  ) -> Bool {
    bytes.withUnsafeBytes { bytes in
      for claim in claims {
        guard bytes.slice(Int(claim.nameStart), Int(claim.nameLength)).equals(name) else { continue }
        if matches(bytes.slice(Int(claim.valueStart), Int(claim.valueLength))) { return true }
      }
      return false
    }
  }

  /// Whether `name` has any value.
  package func contains(_ name: UnsafeRawBufferPointer) -> Bool {
    hasValue(of: name, where: { _ in true })
  }

  package func hasValue(_ value: UnsafeRawBufferPointer, of name: UnsafeRawBufferPointer) -> Bool {
    hasValue(of: name, where: { $0.equals(value) })
  }

  /// All values of `name`, in the token's order. For people and tests.
  package func values(of name: String) -> [String] {
    var found: [String] = []
    let name = Array(name.utf8)
    name.withUnsafeBytes { name in
      _ = hasValue(of: name) { value in
        found.append(value.string)
        return false
      }
    }
    return found
  }

  /// Calls `body` with every name and value, in the token's order.
  package func forEach(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
    bytes.withUnsafeBytes { bytes in
      for claim in claims {
        body(
          bytes.slice(Int(claim.nameStart), Int(claim.nameLength)),
          bytes.slice(Int(claim.valueStart), Int(claim.valueLength)))
      }
    }
  }

  // MARK: - Making one

  /// False, and nothing is added: the set has this name already, or is full.
  package mutating func append(_ name: [UInt8], values: [[UInt8]]) -> Bool {
    let size = name.count + values.reduce(0) { $0 + $1.count }
    guard
      claims.count + values.count <= ClaimLimits.values, bytes.count + size <= ClaimLimits.bytes,
      !name.withUnsafeBytes({ contains($0) })
    else { return false }
    let nameStart = UInt32(bytes.count)
    bytes += name
    for value in values {
      claims.append(
        Claim(
          nameStart: nameStart, nameLength: UInt32(name.count), valueStart: UInt32(bytes.count),
          valueLength: UInt32(value.count)))
      bytes += value
    }
    return true
  }

  /// The claims of `texts`. For people and tests; the names must differ.
  package init(_ texts: KeyValuePairs<String, [String]>) {
    for (name, values) in texts {
      let added = append(Array(name.utf8), values: values.map { Array($0.utf8) })
      precondition(added, "the claims are too many or too long, or two have one name")
    }
  }
}

/// Most of what a token may claim. One with more is refused: what is not in the set would else be read as not claimed.
package enum ClaimLimits {
  /// Values of all names together.
  package static let values = 256
  /// Bytes of all names and values together.
  package static let bytes = 16_384
  /// Objects inside objects.
  package static let depth = 8
}
