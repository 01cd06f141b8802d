/// Has the signer sign the next issuer when it is time. One task, apart from the rotation's: a signer may take its time.
struct RenewalLoop: Sendable {
  static let pause: Duration = .milliseconds(500)

  let keeper: AuthorityKeeper

  func run() async throws {
    while true {
      await keeper.renewFromSigner()
      try await Task.sleep(for: Self.pause)
    }
  }
}
