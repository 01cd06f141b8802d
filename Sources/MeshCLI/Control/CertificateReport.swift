internal import Foundation
package import MeshAPI
internal import MeshControl
internal import MeshCore

/// What a proxy's `/certs` page says about its certificates. Times are Unix seconds.
package struct CertificateReport: Codable, Hashable, Sendable {
  package struct Certificate: Codable, Hashable, Sendable {
    package var subjectURI: String?
    package var issuer: String
    package var serial: String
    package var notBefore: Int64
    package var notAfter: Int64

    enum CodingKeys: String, CodingKey {
      case subjectURI = "subject_uri"
      case issuer, serial
      case notBefore = "not_before"
      case notAfter = "not_after"
    }
  }

  package var identity: String
  package var chain: [Certificate]
  package var trustAnchors: [Certificate]
  package var pem: String?

  enum CodingKeys: String, CodingKey {
    case identity, chain, pem
    case trustAnchors = "trust_anchors"
  }

  package static func decode(_ body: [UInt8]) throws -> CertificateReport {
    try JSONDecoder().decode(CertificateReport.self, from: Data(body))
  }

  /// Asks the proxy of the workload at `address`.
  package static func fetch(from address: String) async throws -> CertificateReport {
    guard let admin = SocketAddress(address, defaultPort: RunPlan.adminPort) else {
      throw CLIFailure("no valid address: \"\(address)\"")
    }
    let response = try await HTTPFetch.get(admin, path: "/certs")
    guard response.status == 200 else { throw CLIFailure("http://\(admin)/certs answered \(response.status)") }
    return try decode(response.body)
  }

  package func render(workload: String, now: Int64, pem showPEM: Bool) -> String {
    var text = "workload  \(workload)\nidentity  \(identity)\n"
    for (index, certificate) in chain.enumerated() {
      text += "\n\(index == 0 ? "certificate" : "intermediate \(index)")\n" + Self.lines(certificate, now: now)
    }
    for certificate in trustAnchors { text += "\ntrust anchor\n" + Self.lines(certificate, now: now) }
    if showPEM, let pem { text += "\n" + pem }
    return text
  }

  private static func lines(_ c: Certificate, now: Int64) -> String {
    let left = c.notAfter > now ? "\(Format.duration(seconds: c.notAfter - now)) left" : "EXPIRED"
    let early = c.notBefore > now ? "  (not valid yet)" : ""
    return (c.subjectURI.map { $0.isEmpty ? "" : "  subject     \($0)\n" } ?? "") + """
        issuer      \(c.issuer)
        serial      \(c.serial)
        not before  \(Format.utc(seconds: c.notBefore))\(early)
        not after   \(Format.utc(seconds: c.notAfter))  (\(left))

      """
  }
}

extension Apus_V1_StatusResponse {
  /// A controller that was restarted has not issued the certificates in use: their proxies tell how long they are valid.
  package mutating func askProxiesForCertificates() async {
    let unknown = workloads.indices.filter { workloads[$0].connected && workloads[$0].certificateNotAfter == 0 }
    let addresses = unknown.map { ($0, workloads[$0].address) }
    let answers = await withTaskGroup(of: (Int, Int64?).self) { group in
      for (index, address) in addresses {
        group.addTask { (index, try? await CertificateReport.fetch(from: address).chain.first?.notAfter) }
      }
      return await group.reduce(into: [Int: Int64]()) { $0[$1.0] = $1.1 }
    }
    for (index, notAfter) in answers { workloads[index].certificateNotAfter = notAfter }
  }
}
