import Crypto
import SwiftASN1
package import X509

#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// What signs leaves: an issuer's certificate, the intermediates between it and its root, and its key. Immutable.
///
/// Leaves travel with `chain`; peers hold only roots. A root made before issuers were separate signs leaves itself: then the
/// chain is empty.
package struct Issuer: Sendable {
  /// The issuer first, the root not among them.
  package let chain: [Certificate]
  package let root: Certificate
  let key: Certificate.PrivateKey
  /// Hexadecimal digits of the subject key identifier.
  package let id: String

  init(chain: [Certificate], root: Certificate, key: Certificate.PrivateKey) {
    self.chain = chain
    self.root = root
    self.key = key
    id = (chain.first ?? root).keyID
  }

  package var certificate: Certificate { chain.first ?? root }

  /// Nothing that it signs is good for longer.
  package var notAfter: Date { ([root] + chain).map(\.notValidAfter).min() ?? root.notValidAfter }

  /// An issuer from files: the chain starts with the issuer and may end with its root. Without a root in it, `knownRoots` must
  /// have the one that it leads to.
  package init(chainPEM: String, keyPEM: String, knownRoots: [Certificate], now: Date) throws {
    let key: Certificate.PrivateKey
    do {
      key = try Certificate.PrivateKey(pemEncoded: keyPEM)
    } catch {
      throw IdentityError.unusableIssuer("its key is no unencrypted private key in PEM")
    }
    try self.init(chainPEM: chainPEM, key: key, knownRoots: knownRoots, now: now)
  }

  /// `bringsRoot`: a root at the chain's end is taken even if it is not a known one.
  init(
    chainPEM: String, key: Certificate.PrivateKey, knownRoots: [Certificate], bringsRoot: Bool = true, now: Date
  ) throws {
    var chain: [Certificate]
    do {
      chain = try PEMDocument.parseMultiple(pemString: chainPEM).map { try Certificate(pemDocument: $0) }
    } catch {
      throw IdentityError.unusableIssuer("its chain is not certificates in PEM")
    }
    guard let issuer = chain.first else {
      throw IdentityError.unusableIssuer("its chain is empty, there is no certificate in PEM in it")
    }
    guard chain.count <= IssuerRules.maximumChain else {
      throw IdentityError.unusableIssuer("more than \(IssuerRules.maximumChain) certificates lead to its root")
    }
    guard issuer.publicKey == key.publicKey else {
      throw IdentityError.unusableIssuer("the key is not the key of the chain's first certificate")
    }
    var brought: Certificate?
    if let last = chain.last, chain.count > 1, last.subject == last.issuer { brought = chain.removeLast() }
    let known = chain.last.flatMap { last in knownRoots.first { $0.hasSigned(last) } }
    guard let root = bringsRoot ? brought ?? known : known else {
      if let brought { throw IdentityError.foreignRoot("\(brought.subject)", keyID: brought.keyID) }
      throw IdentityError.unusableIssuer("its chain does not end with a root, and no known root has signed it")
    }
    try IssuerRules.check(chain + [root], now: now)
    self.init(chain: chain, root: root, key: key)
  }
}

/// What an authority that comes from outside must be (RFC 5280 section 6, for the part that concerns authorities).
enum IssuerRules {
  static let maximumChain = 4

  /// `path` leads from the issuer to its root.
  static func check(_ path: [Certificate], now: Date) throws {
    for (depth, certificate) in path.enumerated() {
      let name = certificate.subject.isEmpty ? "certificate \(depth + 1) of the chain" : "\(certificate.subject)"
      guard case .isCertificateAuthority(let longest)? = try? certificate.extensions.basicConstraints else {
        throw IdentityError.unusableIssuer("\(name) is not an authority (basicConstraints CA:TRUE)")
      }
      if let longest, longest < depth {
        throw IdentityError.unusableIssuer("\(name) allows \(longest) authorities below it, and there are \(depth)")
      }
      if let usage = try? certificate.extensions.keyUsage, !usage.keyCertSign {
        throw IdentityError.unusableIssuer("\(name) may not sign certificates (keyUsage keyCertSign)")
      }
      guard SigningRequest.isStrong(certificate.publicKey) else {
        throw IdentityError.unusableIssuer("\(name) has a weak key")
      }
      guard now < certificate.notValidAfter else { throw IdentityError.unusableIssuer("\(name) has expired") }
      guard certificate.notValidBefore < now.addingTimeInterval(CertificateAuthority.clockSkew) else {
        throw IdentityError.unusableIssuer("\(name) is not valid yet")
      }
      let signer = depth + 1 < path.count ? path[depth + 1] : certificate
      guard signer.hasSigned(certificate) else {
        throw IdentityError.unusableIssuer("\(name) is not signed by the next certificate of its chain")
      }
    }
  }
}

extension Certificate {
  func hasSigned(_ other: Certificate) -> Bool {
    other.issuer == subject && publicKey.isValidSignature(other.signature, for: other)
  }

  /// Of the subject, in hexadecimal digits; of the public key's hash where the certificate does not say.
  package var keyID: String {
    let bytes =
      (try? extensions.subjectKeyIdentifier).flatMap { $0 }.map { Array($0.keyIdentifier) }
    return bytes.map(Hexadecimal.text) ?? publicKey.identifier
  }

  /// Lower-case hexadecimal digits, as revocations name it.
  package var serialText: String {
    let bytes = serialNumber.bytes.drop { $0 == 0 }
    return bytes.isEmpty ? "00" : Hexadecimal.text(bytes)
  }
}

extension Certificate.PublicKey {
  /// SHA-1 of the key in hexadecimal digits (RFC 5280 section 4.2.1.2, method 1).
  var identifier: String { Hexadecimal.text(SubjectKeyIdentifier(hash: self).keyIdentifier) }
}

package enum Hexadecimal {
  package static func text(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }

  /// As people write a serial number ("0F:A2", "fa2"): the form that this project compares. Nil for other text.
  package static func normalized(_ text: String) -> String? {
    var digits = text.lowercased().filter { $0 != ":" }
    if digits.hasPrefix("0x") { digits.removeFirst(2) }
    guard (1...128).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { return nil }
    if digits.utf8.count % 2 == 1 { digits = "0" + digits }
    while digits.utf8.count > 2, digits.hasPrefix("00") { digits.removeFirst(2) }
    return digits
  }
}
