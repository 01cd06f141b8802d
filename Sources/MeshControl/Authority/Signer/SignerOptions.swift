import CLinux
import Glibc
import MeshIdentity
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Which signer the controller asks, and how. The files are read at each use: whoever renews them tells nobody.
package struct SignerOptions: Sendable {
  package var url: SignerURL
  package var dialect = SignerDialect.pem
  package var tokenFile: String?
  /// PEM; nil: the system's authorities.
  package var authorityFile: String?
  /// PEM; nil: only roots that the mesh trusts already.
  package var rootFile: String?
  package var lifetimeSeconds = SignerLimits.defaultLifetime
  package var timeoutSeconds = SignerLimits.defaultTimeout

  package init(url: SignerURL) { self.url = url }
}

/// A signer's address: https, or http to this machine, since the token and the chain pass there.
package struct SignerURL: Hashable, Sendable, CustomStringConvertible {
  let isEncrypted: Bool
  /// Without the brackets of an IPv6 address.
  let host: String
  let port: Int
  /// Path and query, as they go out.
  let target: String

  /// Nil with the reason for people.
  package static func parse(_ text: String) -> Result<SignerURL, ControlPlaneError> {
    func wrong(_ reason: String) -> Result<SignerURL, ControlPlaneError> { .failure(ControlPlaneError(reason)) }
    guard let parts = URLComponents(string: text, encodingInvalidCharacters: false),
      let scheme = parts.scheme?.lowercased(), let found = parts.host,
      !found.isEmpty, scheme == "https" || scheme == "http"
    else { return wrong("an address such as https://signer.example.com/mesh is needed") }
    guard parts.user == nil, parts.password == nil else {
      return wrong("no password in the address: everybody on this machine can read it; use --signer-token-file")
    }
    guard parts.fragment == nil else { return wrong("an address without # is needed") }
    let host = found.hasPrefix("[") && found.hasSuffix("]") ? String(found.dropFirst().dropLast()) : found
    guard scheme == "https" || isLoopback(host) else {
      return wrong(
        "http only to this machine (127.0.0.1, ::1, localhost): the token would be readable on the way; use https")
    }
    let port = parts.port ?? (scheme == "https" ? 443 : 80)
    guard (1...65_535).contains(port) else { return wrong("the port is not one from 1 to 65535") }
    let path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
    return .success(
      SignerURL(
        isEncrypted: scheme == "https", host: host, port: port,
        target: path + (parts.percentEncodedQuery.map { "?" + $0 } ?? "")))
  }

  private static func isLoopback(_ host: String) -> Bool {
    if host == "localhost" || host == "::1" { return true }
    var address = in_addr()
    return inet_pton(AF_INET, host, &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == 127
  }

  var isAddress: Bool {
    var (v4, v6) = (in_addr(), in6_addr())
    return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1
  }

  var authority: String {
    let host = self.host.contains(":") ? "[\(self.host)]" : self.host
    return port == (isEncrypted ? 443 : 80) ? host : "\(host):\(port)"
  }

  /// Without the query, which may be secret.
  package var description: String {
    (isEncrypted ? "https://" : "http://") + authority + target.prefix { $0 != "?" }
  }
}

/// Files of ours that a request needs. Each is bounded, and an error names the flag that it came from.
enum SignerFiles {
  /// One line of visible ASCII. Others of the machine may not read it.
  static func token(_ path: String) throws(SignerError) -> String {
    let bytes = try read(path, "--signer-token-file", limit: SignerLimits.tokenBytes)
    guard clinux_file_status(path, 1).permissions & 0o007 == 0 else {
      throw SignerError(
        .configuration, "everybody on this machine can read \(path): chmod 600 \(path), and replace the token")
    }
    let token = bytes.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed()
    guard !token.isEmpty, token.allSatisfy({ (0x21..<0x7F).contains($0) }) else {
      throw SignerError(.configuration, "\(path) (--signer-token-file) does not hold one token of visible ASCII")
    }
    return String(decoding: Array(token), as: UTF8.self)
  }

  static func roots(_ path: String) throws(SignerError) -> [Certificate] {
    let text = String(decoding: try pem(path, "--signer-root"), as: UTF8.self)
    guard let roots = try? PEMDocument.parseMultiple(pemString: text).map({ try Certificate(pemDocument: $0) }),
      (1...SignerLimits.roots).contains(roots.count)
    else {
      throw SignerError(
        .configuration, "\(path) (--signer-root) does not hold 1 to \(SignerLimits.roots) certificates in PEM")
    }
    return roots
  }

  static func pem(_ path: String, _ flag: String) throws(SignerError) -> [UInt8] {
    try read(path, flag, limit: SignerLimits.certificateFileBytes)
  }

  private static func read(_ path: String, _ flag: String, limit: Int) throws(SignerError) -> [UInt8] {
    let content: [UInt8]?
    do {
      content = try AtomicFile.read(path)
    } catch {
      throw SignerError(.configuration, "\(flag): \(error)")
    }
    guard let content else { throw SignerError(.configuration, "\(path) (\(flag)) is not there") }
    guard content.count <= limit else {
      throw SignerError(.configuration, "\(path) (\(flag)) has \(content.count) bytes, at most \(limit) are read")
    }
    return content
  }
}
