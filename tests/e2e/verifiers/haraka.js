// SPDX-License-Identifier: Apache-2.0
// Verifies the signature of files with Haraka's DKIM plugin; prints a result per line.
const fs = require('fs');
const dkim = require('haraka-plugin-dkim/lib/dkim');

dkim.DKIMObject.prototype.debug = () => {};
dkim.DKIMVerifyStream.prototype.debug = () => {};

const result = content => new Promise((resolve, reject) => {
    const verifier = new dkim.DKIMVerifyStream({}, (error, found, results) =>
        error ? reject(error) : resolve(found === 'pass' ? found : `${found} ${JSON.stringify(results)}`));
    verifier.write(content);
    verifier.end();
});

(async () => {
    for (const name of process.argv.slice(3)) {
        console.log(await result(fs.readFileSync(name)));
    }
})();
