import Logging

extension ControlPlane {
  /// Has the mesh's issuers signed by an authority outside.
  func attach(_ signer: SignerOptions, to authority: AuthorityKeeper, _ metrics: ControllerMetrics) async {
    let external = ExternalAuthority(
      signer: HTTPSigner(signer), rootFile: signer.rootFile, lifetimeSeconds: signer.lifetimeSeconds,
      leafLifetimeSeconds: options.certificateLifetime)
    await authority.attach(external, metrics: metrics)
    log.info("issuers are signed by a signer", metadata: ["signer": "\(external.signer.name)"])
  }
}
