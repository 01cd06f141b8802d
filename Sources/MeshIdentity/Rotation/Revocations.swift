import MeshCore
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Who is not believed any more although the authority has vouched for him. The state directory's `revocations.json`.
package struct RevocationList: Codable, Hashable, Sendable {
  package struct Serial: Codable, Hashable, Sendable {
    /// Unix seconds; when the certificate ends by itself the entry goes.
    package var until: Int64
  }

  package static let maximumEntries = 10_000
  package static let maximumLists = 16
  package static let maximumListBytes = 1 << 20

  package private(set) var identities: Set<String> = []
  /// By serial number in lower-case hexadecimal.
  package private(set) var serials: [String: Serial] = [:]
  /// In PEM. The proxies check their signatures.
  package private(set) var crls: [String] = []

  package init() {}

  package var isEmpty: Bool { identities.isEmpty && serials.isEmpty && crls.isEmpty }

  package mutating func deny(identity text: String) throws(RevocationError) {
    guard let identity = SPIFFEID(text) else { throw .noIdentity(text) }
    guard identities.count < Self.maximumEntries else { throw .tooMany }
    identities.insert(identity.description)
  }

  package mutating func deny(serial text: String, until: Int64) throws(RevocationError) {
    guard let serial = Hexadecimal.normalized(text) else { throw .noSerial(text) }
    guard serials.count < Self.maximumEntries else { throw .tooMany }
    serials[serial] = Serial(until: until)
  }

  package mutating func restore(identity text: String) throws(RevocationError) {
    guard let identity = SPIFFEID(text) else { throw .noIdentity(text) }
    guard identities.remove(identity.description) != nil else { throw .notDenied(text) }
  }

  package mutating func restore(serial text: String) throws(RevocationError) {
    guard let serial = Hexadecimal.normalized(text) else { throw .noSerial(text) }
    guard serials.removeValue(forKey: serial) != nil else { throw .notDenied(text) }
  }

  /// A list takes the place of an earlier one of the same authority.
  package mutating func take(crl pem: String) throws(RevocationError) {
    guard pem.utf8.count <= Self.maximumListBytes else { throw .badList("longer than \(Self.maximumListBytes) bytes") }
    guard let document = try? PEMDocument(pemString: pem), document.discriminator == "X509 CRL" else {
      throw .badList("not one X509 CRL in PEM")
    }
    guard let issuer = Self.issuer(ofList: document.derBytes) else {
      throw .badList("not a certificate revocation list")
    }
    var kept = crls.filter { other in
      (try? PEMDocument(pemString: other)).flatMap { Self.issuer(ofList: $0.derBytes) } != issuer
    }
    guard kept.count < Self.maximumLists else { throw .tooMany }
    kept.append(document.pemString + "\n")
    crls = kept
  }

  package mutating func clearLists() { crls = [] }

  /// Forgets certificates that have ended. Whether there was one.
  package mutating func expire(now: Int64) -> Bool {
    let before = serials.count
    // An hour for clocks that differ.
    serials = serials.filter { $0.value.until + 3600 > now }
    return serials.count != before
  }

  /// RFC 5280 section 5.1: `CertificateList { tbsCertList { version?, signature, issuer, ... } ... }`. The issuer's name in DER.
  private static func issuer(ofList der: [UInt8]) -> [UInt8]? {
    guard let node = try? DER.parse(der), case .constructed(let outer) = node.content,
      let list = outer.first(where: { _ in true }), case .constructed(let fields) = list.content
    else { return nil }
    var parts = Array(fields)[...]
    if parts.first?.identifier == .integer { parts = parts.dropFirst() }
    guard parts.count >= 3, let name = parts.dropFirst().first,
      (try? DistinguishedName(derEncoded: name)) != nil
    else { return nil }
    return Array(name.encodedBytes)
  }
}

package enum RevocationError: Error, Hashable, Sendable, CustomStringConvertible {
  case noIdentity(String)
  case noSerial(String)
  case notDenied(String)
  case badList(String)
  case tooMany

  package var description: String {
    switch self {
    case .noIdentity(let text): "\"\(text.prefix(256))\" is not spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT"
    case .noSerial(let text): "\"\(text.prefix(256))\" is no serial number in hexadecimal digits"
    case .notDenied(let text): "\(text.prefix(256)) is not revoked: see apus identity status"
    case .badList(let reason): "the revocation list cannot be used: \(reason)"
    case .tooMany: "there are too many revocations: rotate the issuer instead (apus identity rotate --issuer)"
    }
  }
}
