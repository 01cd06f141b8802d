import Crypto
import Foundation
import MeshCore
import MeshIdentity
import SwiftASN1
import Testing
import X509

/// A directory that vanishes with the test.
final class ScratchDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/apus-test-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

let orders = SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders")
let start = Date(timeIntervalSince1970: 1_800_000_000)

/// A request in DER with the given names and constraints.
func signingRequest(
  key: Certificate.PrivateKey = Certificate.PrivateKey(P256.Signing.PrivateKey()),
  uris: [String] = [orders.description], dnsNames: [String] = [], constraints: BasicConstraints? = nil,
  usage: KeyUsage? = nil
) throws -> [UInt8] {
  let names =
    uris.map(GeneralName.uniformResourceIdentifier) + dnsNames.map(GeneralName.dnsName)
  var extensions = Certificate.Extensions()
  if !names.isEmpty {
    try extensions.append(Certificate.Extension(SubjectAlternativeNames(names), critical: false))
  }
  if let constraints { try extensions.append(Certificate.Extension(constraints, critical: true)) }
  if let usage { try extensions.append(Certificate.Extension(usage, critical: true)) }
  let request = try CertificateSigningRequest(
    version: .v1, subject: DistinguishedName(), privateKey: key,
    attributes: CertificateSigningRequest.Attributes([
      CertificateSigningRequest.Attribute(ExtensionRequest(extensions: extensions))
    ]))
  var serializer = DER.Serializer()
  try serializer.serialize(request)
  return serializer.serializedBytes
}

/// The authority of a directory, made if there is none.
func makeAuthority(
  _ directory: String, maker: AuthorityMaker = AuthorityMaker(), now: Date = start
) throws -> CertificateAuthority {
  let store = AuthorityStore(directory: directory, maker: maker)
  return try store.authority(of: store.loadOrCreate(now: now))
}
