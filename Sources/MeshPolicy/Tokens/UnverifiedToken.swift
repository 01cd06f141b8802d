import MeshCore

/// A JSON Web Token in compact form (RFC 7519, RFC 7515), taken apart and not yet verified: nothing in it is to be believed but as a hint of
/// which rule and key to verify it with.
///
/// A header may name its own key (`jwk`, `jku`, `x5c`, `x5u`): those are never looked at.
package struct UnverifiedToken {
  package let algorithm: TokenAlgorithm
  package let keyID: [UInt8]?
  package let payload: JSONValue
  package let issuer: [UInt8]
  package let signature: [UInt8]
  /// Bytes of the token that the signature is over, from its beginning.
  package let signedCount: Int

  package init(_ text: UnsafeRawBufferPointer) throws(TokenRefusal) {
    guard text.count <= TokenLimits.tokenBytes else { throw .tooLarge }
    guard let first = text.firstIndex(of: UInt8(ascii: ".")),
      let second = text[(first + 1)...].firstIndex(of: UInt8(ascii: ".")),
      let header = Self.object(text.slice(0, first)),
      let payload = Self.object(text.slice(first + 1, second - first - 1)),
      let signature = Base64URL.decode(text.slice(second + 1, text.count - second - 1))
    else { throw .malformed }
    guard let name = header["alg"]?.bytes else { throw .malformed }
    guard let algorithm = TokenAlgorithm(name) else { throw .algorithm }
    try Self.check(header)
    if let id = header["kid"] {
      guard let bytes = id.bytes, (1...TokenLimits.textBytes).contains(bytes.count) else { throw .malformed }
      keyID = bytes
    } else {
      keyID = nil
    }
    guard let issuer = payload["iss"]?.bytes else { throw .claims }
    self.algorithm = algorithm
    self.payload = payload
    self.issuer = issuer
    self.signature = signature
    signedCount = second
  }

  private static func object(_ text: UnsafeRawBufferPointer) -> JSONValue? {
    guard let bytes = Base64URL.decode(text), let value = try? JSONReader.read(bytes), value.isObject else {
      return nil
    }
    return value
  }

  /// Extensions that must be understood are not (RFC 7515, section 4.1.11), and a token made for something else, such as a logout,
  /// is none of a request (RFC 8725, section 3.11).
  private static func check(_ header: JSONValue) throws(TokenRefusal) {
    if header["crit"] != nil || header["b64"] != nil { throw .header }
    guard let type = header["typ"] else { return }
    guard let bytes = type.bytes else { throw .malformed }
    let isKnown = bytes.withUnsafeBytes { name in
      let prefix: StaticString = "application/"
      let length = prefix.utf8CodeUnitCount
      let isLong = name.count > length && name.slice(0, length).equalsIgnoringCase(prefix)
      let short = isLong ? name.slice(length, name.count - length) : name
      return short.equalsIgnoringCase("jwt") || short.equalsIgnoringCase("at+jwt")
    }
    if !isKnown { throw .header }
  }
}
