internal import CLinux
internal import Foundation
internal import Glibc
package import MeshCore

/// What `apus identity token create` prints and `apus run --join-token-file` reads: the token, and how its holder finds the controller
/// and knows it. JSON, secret.
package struct JoinFile: Hashable, Sendable, Codable {
  package var token: String
  package var controller: String
  package var trustDomain: String
  package var trustAnchorsPEM: String

  package init(token: String, controller: String, trustDomain: String, trustAnchorsPEM: String) {
    self.token = token
    self.controller = controller
    self.trustDomain = trustDomain
    self.trustAnchorsPEM = trustAnchorsPEM
  }

  package enum CodingKeys: String, CodingKey {
    case token, controller
    case trustDomain = "trust_domain"
    case trustAnchorsPEM = "trust_anchors_pem"
  }

  package static let maximumBytes = 1 << 20

  package var address: SocketAddress? { SocketAddress(controller) }

  /// Refuses a file that others may read: they could join in the program's place.
  package static func read(_ path: String) throws -> JoinFile {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CLIFailure("cannot read the join token in \(path): \(String(cString: strerror(errno)))")
    }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    // Of the opened file: nobody can put another in its place between the look and the use.
    let status = clinux_file_status("/proc/self/fd/\(descriptor)", 1)
    guard status.kind == Int32(CLINUX_FILE.rawValue) else {
      throw CLIFailure("\(path) is no file; write what apus identity token create printed into one")
    }
    guard isPrivate(status.permissions, owner: status.owner, user: geteuid()) else {
      throw CLIFailure(
        "others may read the join token in \(path) (mode \(String(status.permissions, radix: 8)))",
        fix: "chmod 600 \(path), and make another token if somebody may have copied it")
    }
    let content = try handle.read(upToCount: maximumBytes) ?? Data()
    guard let file = try? JSONDecoder().decode(JoinFile.self, from: content), file.address != nil,
      !file.token.isEmpty, !file.trustAnchorsPEM.isEmpty
    else {
      throw CLIFailure("\(path) holds no join token", fix: "make one: apus identity token create --help")
    }
    return file
  }

  /// systemd gives a service's account its credentials by an access list on files of root's, which shows as the group's right to read.
  package static func isPrivate(_ permissions: UInt32, owner: UInt32, user: UInt32) -> Bool {
    permissions & (owner == 0 && user != 0 ? 0o037 : 0o077) == 0
  }

  package func text() throws -> String { try JSONText.of(self) + "\n" }
}
