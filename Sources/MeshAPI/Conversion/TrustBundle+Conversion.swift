package import MeshPolicy
import SwiftProtobuf

extension TrustBundle {
  package init(_ message: Apus_V1_TrustBundle, limits: ConversionLimits = .standard) throws(ConversionError) {
    try limits.check(message.trustDomain, "trust_domain")
    guard message.anchorsPem.utf8.count <= limits.maximumAnchorsBytes else {
      throw ConversionError(
        field: "anchors_pem", problem: "longer than \(limits.maximumAnchorsBytes) bytes")
    }
    guard message.anchorsPem.contains("-----BEGIN CERTIFICATE-----") else {
      throw ConversionError(field: "anchors_pem", problem: "holds no PEM certificate")
    }
    try limits.check(message.crls.count, atMost: limits.maximumRevocationLists, "crls")
    for (index, list) in message.crls.enumerated() {
      guard list.utf8.count <= limits.maximumRevocationListBytes, list.hasPrefix("-----BEGIN X509 CRL-----") else {
        throw ConversionError(
          field: "crls[\(index)]", problem: "no X509 CRL in PEM of at most \(limits.maximumRevocationListBytes) bytes")
      }
    }
    try limits.check(message.deniedIdentities.count, atMost: limits.maximumDenied, "denied_identities")
    for (index, identity) in message.deniedIdentities.enumerated() {
      _ = try convertIdentity(identity, "denied_identities[\(index)]")
    }
    try limits.check(message.deniedSerials.count, atMost: limits.maximumDenied, "denied_serials")
    for (index, serial) in message.deniedSerials.enumerated() where !Self.isHexadecimal(serial) {
      throw ConversionError(field: "denied_serials[\(index)]", problem: "no serial number in lower-case hexadecimal")
    }
    guard message.signer.isEmpty || Self.isHexadecimal(message.signer) else {
      throw ConversionError(field: "signer", problem: "no key identifier in lower-case hexadecimal")
    }
    self.init(
      trustDomain: message.trustDomain, anchorsPEM: message.anchorsPem, crls: message.crls,
      deniedIdentities: Set(message.deniedIdentities), deniedSerials: Set(message.deniedSerials),
      signer: message.signer)
  }

  /// At most 64 bytes: serial numbers have 20 (RFC 5280 section 4.1.2.2), key identifiers 20 or 32.
  private static func isHexadecimal(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count) && text.utf8.count % 2 == 0
      && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }
}

// MARK: - To the wire

extension Apus_V1_TrustBundle {
  package init(_ bundle: TrustBundle) {
    self.init()
    trustDomain = bundle.trustDomain
    anchorsPem = bundle.anchorsPEM
    crls = bundle.crls
    deniedIdentities = bundle.deniedIdentities.sorted()
    deniedSerials = bundle.deniedSerials.sorted()
    signer = bundle.signer
  }
}
